"""Every kind of relocation, and what is none (notes, section 8.9)."""

from __future__ import annotations

import errno

import pytest

from bpfemu.bind import bind
from bpfemu.errors import BindError
from bpfemu.image import ProgramImage
from bpfemu.isa.insn import LoadImm64
from bpfemu.machine.machine import code_address
from bpfemu.object import BpfObject, Extern, Reloc, Symbol
from bpfemu.record import replace
from tests.bind.small import HASH, image, obj, options


def loaded(found: ProgramImage, slot: int = 0) -> int:
    load = found.code[slot]
    assert isinstance(load, LoadImm64)
    return load.value


def test_a_map_is_its_handle() -> None:
    other = replace(HASH, name="other", offset=32)
    found = image("r1 = &other ll; exit", maps=[HASH, other])
    assert loaded(found) == found.maps[1].addr != found.maps[0].addr


def test_global_data_is_its_place_in_the_segment() -> None:
    found = image("r1 = &.data+12 ll; exit", data={".bss": bytes(8), ".data": bytes(16)})
    assert loaded(found) == found.segments[1].addr + 12


def test_a_function_pointer_is_the_address_of_its_slot() -> None:
    found = image("r1 = &cb ll; exit", subs={"cb": "r0 = 0; exit"})
    assert loaded(found) == code_address(3)


def refused(found: BpfObject) -> BindError:
    with pytest.raises(BindError) as caught:
        bind(found, "main", options())
    assert caught.value.program == "main" and caught.value.slot is not None
    return caught.value


def with_symbol(text: str, symbol: Symbol, **keywords: object) -> BpfObject:
    """The object of ``text`` with a relocation of slot 0 against any symbol."""
    found = obj(text, **keywords)  # type: ignore[arg-type]
    main = replace(found.functions[-1], relocs=(Reloc(0, 1, symbol, 0),))
    return replace(found, functions=(*found.functions[:-1], main))


def test_a_relocation_of_neither_call_nor_wide_load_is_4005() -> None:
    error = refused(with_symbol("r0 = 0; exit", Symbol("x", ".data", 0, 4, "object", "global")))
    assert error.errno == 4005 and "invalid relo against" in str(error)


def test_a_wide_load_of_an_undefined_symbol_is_4005_in_libbpfs_words() -> None:
    error = refused(with_symbol("r1 = 0 ll; exit", Symbol("x", "", 0, 0, "object", "global")))
    assert error.errno == 4005 and "forgot to initialize global var?" in str(error)


def test_a_map_that_is_none_is_4005() -> None:
    symbol = Symbol("x", ".maps", 8, 4, "object", "global")
    error = refused(with_symbol("r1 = 0 ll; exit", symbol, maps=[HASH]))
    assert error.errno == 4005 and "map relo failed to find map at .maps+8" in str(error)


def test_a_section_that_is_no_data_is_4005() -> None:
    error = refused(
        with_symbol("r1 = 0 ll; exit", Symbol("x", "license", 0, 4, "object", "global"))
    )
    assert error.errno == 4005 and "bad map relo against 'x' in section 'license'" in str(error)


@pytest.mark.parametrize("offset", [8, 4096, -1])
def test_data_beyond_its_section_is_einval(offset: int) -> None:
    error = refused(obj(f"r1 = &.data+{offset & 0xFFFFFFFF} ll; exit", data={".data": bytes(8)}))
    assert error.errno == errno.EINVAL and "value_size=8" in str(error)


def test_a_call_of_data_is_4005() -> None:
    found = obj("call sub; exit", subs={"sub": "exit"})
    main = found.functions[-1]
    symbol = Symbol("x", "", 0, 0, "object", "global")
    changed = replace(main, relocs=(replace(main.relocs[0], symbol=symbol),))
    assert refused(replace(found, functions=(found.functions[0], changed))).errno == 4005


def test_a_call_of_an_extern_variable_is_4005() -> None:
    extern = Extern("thing", "ksym", False, 0, typeless=True)
    error = refused(obj("call thing; exit", externs=[extern]))
    assert error.errno == 4005 and "it is no function" in str(error)


def test_a_helper_call_with_a_relocation_into_data_is_4005() -> None:
    symbol = Symbol("x", ".data", 0, 4, "object", "global")
    error = refused(with_symbol("call 5; exit", symbol, data={".data": bytes(8)}))
    assert error.errno == 4005 and "bad call relo against" in str(error)


def test_globals_of_an_arena_are_enotsup() -> None:
    error = refused(obj("r1 = &.addr_space.1 ll; exit", data={".addr_space.1": bytes(8)}))
    assert error.errno == errno.ENOTSUP


def test_a_setting_without_a_place_is_4005() -> None:
    extern = Extern("CONFIG_X", "kconfig", True, 0)
    error = refused(obj("r1 = &CONFIG_X ll; exit", externs=[extern]))
    assert error.errno == 4005 and "no place in .kconfig" in str(error)
