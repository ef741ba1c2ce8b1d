"""Externs and DATASECs (notes, sections 7.2, 8.7 and 8.8)."""

from __future__ import annotations

import errno

import pytest

from bpfemu.btf import BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.elf import read_object
from bpfemu.errors import ObjectError
from bpfemu.object import Extern
from tests.builders.elf import NOBITS, ElfBuilder

EXTERN = k.Linkage.EXTERN


def extern(
    btf: BtfBuilder, ids: list[int], section: str, *, name: str = "x", binding: str = "global"
) -> ElfBuilder:
    """An object with one undefined symbol, listed in a DATASEC."""
    if section:
        btf.datasec(section, 0, [(id, 0, 0) for id in ids])
    elf = ElfBuilder().section(".BTF", btf.encode())
    return elf.symbol(name, "", kind="notype", binding=binding)


def read_one(elf: ElfBuilder) -> Extern:
    (found,) = read_object(elf.build(), "x.o").externs
    return found


def refused(elf: ElfBuilder) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        read_object(elf.build(), "x.o")
    return caught.value


def test_a_function_in_ksyms_is_a_kfunc() -> None:
    btf = BtfBuilder()
    func = btf.func("x", btf.func_proto(0), EXTERN)
    assert read_one(extern(btf, [func], ".ksyms")) == Extern("x", "kfunc", False, func)


def test_a_weak_void_variable_is_a_typeless_ksym() -> None:
    btf = BtfBuilder()
    var = btf.var("x", btf.const(0), EXTERN)
    assert read_one(extern(btf, [var], ".ksyms", binding="weak")) == Extern(
        "x", "ksym", True, var, True
    )


def test_a_typed_variable_is_a_typed_ksym() -> None:
    btf = BtfBuilder()
    var = btf.var("x", btf.int_("int", 4), EXTERN)
    assert not read_one(extern(btf, [var], ".ksyms")).typeless


def test_an_extern_without_btf_is_esrch() -> None:
    error = refused(ElfBuilder().symbol("x", "", kind="notype"))
    assert error.errno == errno.ESRCH and "failed to find BTF for extern 'x'" in str(error)


def test_an_extern_that_btf_does_not_know_is_enoent() -> None:
    btf = BtfBuilder()
    btf.int_("int", 4)
    error = refused(extern(btf, [], ""))
    assert error.errno == errno.ENOENT and "failed to find BTF for extern" in str(error)


def test_an_extern_that_btf_calls_defined_is_einval() -> None:
    btf = BtfBuilder()
    btf.func("x", btf.func_proto(0), k.Linkage.GLOBAL)
    assert refused(extern(btf, [], "")).errno == errno.EINVAL


def test_an_extern_in_no_datasec_is_enoent() -> None:
    btf = BtfBuilder()
    btf.func("x", btf.func_proto(0), EXTERN)
    assert "no DATASEC lists it" in str(refused(extern(btf, [], "")))


def test_an_extern_in_another_datasec_is_enotsup() -> None:
    btf = BtfBuilder()
    var = btf.var("x", btf.int_("int", 4), EXTERN)
    elf = extern(btf, [var], ".others").section(".others", bytes(4))
    error = refused(elf)
    assert error.errno == errno.ENOTSUP and "unrecognized extern section" in str(error)


def kconfig_type(btf: BtfBuilder, name: str) -> int:
    char = btf.int_("char", 1, k.IntEncoding.SIGNED)
    makes = {
        "bool": lambda: btf.int_("_Bool", 1, k.IntEncoding.BOOL),
        "char": lambda: char,
        "short": lambda: btf.int_("short", 2),
        "long": lambda: btf.int_("long", 8),
        "tristate": lambda: btf.enum("libbpf_tristate", 4, [("TRI_NO", 0)]),
        "text": lambda: btf.array(char, char, 8),
        "int128": lambda: btf.int_("__int128", 16),
        "struct": lambda: btf.struct("s", 4, [("a", btf.int_("int", 4), 0)]),
        "enum": lambda: btf.enum("other", 4, [("A", 0)]),
        "ints": lambda: btf.array(btf.int_("int", 4), char, 2),
        "empty": lambda: btf.array(char, char, 0),
    }
    return makes[name]()


@pytest.mark.parametrize("name", ["bool", "char", "short", "long", "tristate", "text"])
def test_kconfig_externs_may_be_bool_char_number_tristate_or_text(name: str) -> None:
    btf = BtfBuilder()
    var = btf.var("CONFIG_X", kconfig_type(btf, name), EXTERN)
    elf = extern(btf, [var], ".kconfig", name="CONFIG_X")
    assert read_one(elf) == Extern("CONFIG_X", "kconfig", False, var)


@pytest.mark.parametrize("name", ["int128", "struct", "enum", "ints", "empty"])
def test_other_kconfig_types_are_enotsup(name: str) -> None:
    btf = BtfBuilder()
    var = btf.var("CONFIG_X", kconfig_type(btf, name), EXTERN)
    assert refused(extern(btf, [var], ".kconfig", name="CONFIG_X")).errno == errno.ENOTSUP


def test_undefined_symbols_with_a_type_or_without_a_name_are_no_externs() -> None:
    elf = ElfBuilder().symbol("typed", "", kind="object").symbol("", "", kind="notype")
    assert (
        read_object(elf.symbol("local", "", kind="notype", binding="local").build()).externs == ()
    )


# ---- DATASECs ----------------------------------------------------------------------------------


def data(linkage: int, *, size: int = 0, symbol: bool = True) -> ElfBuilder:
    btf = BtfBuilder()
    var = btf.var("v", btf.int_("int", 4), linkage)
    btf.datasec(".data", size, [(var, 0, 4)])
    elf = ElfBuilder().section(".data", bytes(12)).section(".BTF", btf.encode())
    return elf.symbol("v", ".data", 8, 4) if symbol else elf


def entry(elf: ElfBuilder) -> tuple[int, int]:
    """(DATASEC size, offset of its variable)."""
    btf = read_object(elf.build()).btf
    assert btf is not None
    found = btf.type(btf.find(".data", k.DataSec) or 0)
    assert isinstance(found, k.DataSec)
    return found.size, found.entries[0].offset


def test_an_unsized_datasec_is_completed() -> None:
    assert entry(data(k.Linkage.GLOBAL)) == (12, 8)


def test_a_sized_datasec_keeps_what_the_linker_wrote() -> None:
    assert entry(data(k.Linkage.GLOBAL, size=12)) == (12, 0)


def test_a_global_without_a_symbol_is_enoent() -> None:
    error = refused(data(k.Linkage.GLOBAL, symbol=False))
    assert error.errno == errno.ENOENT and "no symbol for the variable 'v'" in str(error)


def test_a_static_without_a_symbol_is_left_alone() -> None:
    found = read_object(data(k.Linkage.STATIC, symbol=False).build())
    assert not found.data[0].mmapable


def test_a_datasec_without_a_section_is_enoent() -> None:
    btf = BtfBuilder()
    btf.datasec(".data", 0, [(btf.var("v", btf.int_("int", 4)), 0, 4)])
    error = refused(ElfBuilder().section(".BTF", btf.encode()))
    assert error.errno == errno.ENOENT and error.section == ".data"


def test_a_datasec_of_something_else_than_variables_is_einval() -> None:
    btf = BtfBuilder()
    btf.datasec(".data", 0, [(btf.int_("int", 4), 0, 4)])
    assert refused(ElfBuilder().section(".data", b"x").section(".BTF", btf.encode())).errno == 22


def test_kconfig_of_something_else_than_variables_is_einval() -> None:
    btf = BtfBuilder()
    btf.datasec(".kconfig", 4, [(btf.int_("int", 4), 0, 4)])
    assert refused(ElfBuilder().section(".BTF", btf.encode())).errno == errno.EINVAL


def settings(length: int) -> ElfBuilder:
    """A char array as the only setting."""
    btf = BtfBuilder()
    char = btf.int_("char", 1)
    var = btf.var("CONFIG_X", btf.array(char, char, length), EXTERN)
    return extern(btf, [var], ".kconfig", name="CONFIG_X")


@pytest.mark.parametrize("length", [(64 << 20) + 1, (1 << 32) - 1])
def test_absurd_settings_are_refused_before_they_are_allocated(length: int) -> None:
    error = refused(settings(length))
    assert error.errno == errno.E2BIG and error.section == ".kconfig"


def test_settings_and_data_share_one_bound() -> None:
    elf = settings(40 << 20).section(".bss", type=NOBITS, size=40 << 20)
    assert refused(elf).errno == errno.E2BIG


def test_an_extern_without_readable_btf_says_what_is_wrong_with_the_btf() -> None:
    error = refused(ElfBuilder().section(".BTF", b"junk").symbol("x", "", kind="notype"))
    assert error.errno == errno.ESRCH and ".BTF+0x0" in str(error)
