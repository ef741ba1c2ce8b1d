"""Kernel configuration externs (notes, section 8.8)."""

from __future__ import annotations

import errno

import pytest

from bpfemu.bind.kconfig import kconfig_data, kconfig_offsets
from bpfemu.btf import BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.errors import BindError
from bpfemu.object import BpfObject, DataSection, Extern
from bpfemu.proto.profile import KernelProfile, find_profile
from bpfemu.record import replace
from tests.bind.small import options


def types(btf: BtfBuilder) -> dict[str, int]:
    char = btf.int_("char", 1, k.IntEncoding.SIGNED)
    return {
        "bool": btf.int_("_Bool", 1, k.IntEncoding.BOOL),
        "char": char,
        "int": btf.int_("int", 4, k.IntEncoding.SIGNED),
        "u16": btf.int_("unsigned short", 2),
        "u64": btf.int_("unsigned long", 8),
        "tristate": btf.enum(
            "libbpf_tristate", 4, [("TRI_NO", 0), ("TRI_YES", 1), ("TRI_MODULE", 2)]
        ),
        "text": btf.array(char, char, 6),
    }


def one(name: str, type_: str, *, weak: bool = False) -> BpfObject:
    btf = BtfBuilder()
    id = types(btf)[type_]
    var = btf.var(name, id)
    size = btf.build().size_of(id)
    btf.datasec(".kconfig", size, [(var, 0, size)])
    return BpfObject(
        "x",
        "x",
        "GPL",
        (),
        data=(DataSection(".kconfig", bytes(size), False),),
        externs=(Extern(name, "kconfig", weak, var),),
        btf=btf.build(),
    )


def data(type_: str, value: object, *, name: str = "CONFIG_X") -> bytes:
    return kconfig_data(one(name, type_), options(kconfig={name: value}))


@pytest.mark.parametrize(
    ("type_", "value", "want"),
    [
        ("bool", "y", b"\1"),
        ("bool", "n", b"\0"),
        ("bool", True, b"\1"),
        ("bool", False, b"\0"),
        ("char", "m", b"m"),
        ("tristate", "m", b"\2\0\0\0"),
        ("tristate", "y", b"\1\0\0\0"),
        ("int", "0x10", b"\x10\0\0\0"),
        ("int", -2, b"\xfe\xff\xff\xff"),
        ("u16", "65535", b"\xff\xff"),
        ("u64", 1 << 63, bytes(7) + b"\x80"),
        ("text", '"abc"', b"abc\0\0\0"),
        ("text", "abc", b"abc\0\0\0"),
        ("text", '"abcdefgh"', b"abcde\0"),
    ],
)
def test_values_are_read_as_from_a_config_file(type_: str, value: object, want: bytes) -> None:
    assert data(type_, value) == want


@pytest.mark.parametrize(
    ("type_", "value", "number"),
    [
        ("bool", "m", errno.EINVAL),
        ("bool", 7, errno.EINVAL),
        ("tristate", 1, errno.EINVAL),
        ("int", "y", errno.EINVAL),
        ("int", "twelve", errno.EINVAL),
        ("int", 1 << 31, errno.ERANGE),
        ("u16", -1, errno.ERANGE),
        ("u16", 65536, errno.ERANGE),
        ("text", 5, errno.EINVAL),
    ],
)
def test_values_that_do_not_fit_are_refused(type_: str, value: object, number: int) -> None:
    with pytest.raises(BindError, match="CONFIG_X") as caught:
        data(type_, value)
    assert caught.value.errno == number and caught.value.symbol == "CONFIG_X"


def test_a_missing_strong_setting_is_esrch() -> None:
    with pytest.raises(BindError, match=r"extern 'CONFIG_X' \(strong\): not resolved") as caught:
        kconfig_data(one("CONFIG_X", "int"), options())
    assert caught.value.errno == errno.ESRCH


def test_a_missing_weak_setting_is_zero() -> None:
    assert kconfig_data(one("CONFIG_X", "int", weak=True), options()) == bytes(4)


def test_the_kernel_version_is_the_profiles() -> None:
    version = kconfig_data(one("LINUX_KERNEL_VERSION", "int"), options())
    assert version == (6 << 16 | 12 << 8).to_bytes(4, "little")  # 6.12.0


def test_the_patch_level_ends_at_255() -> None:
    late = replace(find_profile("6.12.0"), version=(4, 9, 337))
    version = kconfig_data(one("LINUX_KERNEL_VERSION", "int"), options(profile=late))
    assert version == (4 << 16 | 9 << 8 | 255).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("name", "value"), [("LINUX_HAS_BPF_COOKIE", 1), ("LINUX_HAS_SYSCALL_WRAPPER", 1)]
)
def test_virtual_settings_are_answered_by_the_loader(name: str, value: int) -> None:
    assert kconfig_data(one(name, "int"), options()) == value.to_bytes(4, "little")


def test_other_linux_names_are_zero_when_weak_and_wrong_when_strong() -> None:
    assert kconfig_data(one("LINUX_FUTURE", "int", weak=True), options()) == bytes(4)
    with pytest.raises(BindError, match="neither CONFIG_ nor") as caught:
        kconfig_data(one("LINUX_FUTURE", "int"), options())
    assert caught.value.errno == errno.EINVAL


def profile(**changes: object) -> KernelProfile:
    return replace(find_profile("6.12.0"), **changes)


@pytest.mark.parametrize(
    ("name", "type_", "given", "want"),
    [
        ("CONFIG_HZ", "int", profile(hz=250), (250).to_bytes(4, "little")),
        ("CONFIG_PREEMPT_RT", "bool", profile(preempt_rt=True), b"\1"),
        ("CONFIG_PREEMPT_RT", "bool", profile(), b"\0"),
        ("CONFIG_PER_VMA_LOCK", "bool", profile(), b"\1"),
        ("CONFIG_PER_VMA_LOCK", "bool", profile(per_vma_lock=False), b"\0"),
    ],
)
def test_what_the_profile_says_is_configured(
    name: str, type_: str, given: KernelProfile, want: bytes
) -> None:
    assert kconfig_data(one(name, type_, weak=True), options(profile=given)) == want


def test_objects_without_settings_have_none() -> None:
    assert kconfig_offsets(BpfObject("x", "x", "", ())) == {}
    assert kconfig_offsets(replace(one("CONFIG_X", "int"), btf=BtfBuilder().build())) == {}
    assert kconfig_data(BpfObject("x", "x", "", ()), options()) == b""
