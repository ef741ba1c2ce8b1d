"""The kernel's configuration for ``__kconfig`` externs (notes, section 8.8)."""

from __future__ import annotations

from collections.abc import Mapping
from errno import EINVAL, ERANGE, ESRCH
from typing import Final

from bpfemu.bind.options import BindOptions
from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.errors import BindError
from bpfemu.object import BpfObject, Extern
from bpfemu.proto.profile import KernelProfile

__all__ = ["kconfig_data", "kconfig_offsets"]

SECTION: Final = ".kconfig"
_TRISTATE: Final = {"n": 0, "y": 1, "m": 2}


def kconfig_offsets(obj: BpfObject) -> dict[str, int]:
    """Extern name → its byte offset within ``.kconfig``."""
    btf = obj.btf
    section = btf.find(SECTION, k.DataSec) if btf else None
    if btf is None or section is None:
        return {}
    found = btf.type(section)
    assert isinstance(found, k.DataSec)
    return {getattr(btf.type(e.type), "name", ""): e.offset for e in found.entries}


def kconfig_data(obj: BpfObject, options: BindOptions) -> bytes:
    """What ``.kconfig`` holds; BindError for a strong extern that nothing sets."""
    size = next((len(section.data) for section in obj.data if section.name == SECTION), 0)
    data = bytearray(size)
    offsets = kconfig_offsets(obj)
    known = {**_defaults(options.profile), **options.kconfig}
    for extern in obj.externs:
        if extern.kind == "kconfig" and obj.btf is not None and extern.name in offsets:
            value = _value(obj.btf, extern, known, options.profile)
            at = offsets[extern.name]
            data[at : at + len(value)] = value
    return bytes(data)


def _defaults(profile: KernelProfile) -> Mapping[str, object]:
    """What every emulated kernel is built with; callers' values come first."""
    found: dict[str, object] = {
        "CONFIG_64BIT": "y",
        "CONFIG_X86_64": "y",
        "CONFIG_SMP": "y",
        "CONFIG_BPF": "y",
        "CONFIG_BPF_SYSCALL": "y",
        "CONFIG_BPF_JIT": "y",
        "CONFIG_DEBUG_INFO_BTF": "y",
        "CONFIG_HZ": profile.hz,
        f"CONFIG_HZ_{profile.hz}": "y",
    }
    if profile.preempt_rt:
        found["CONFIG_PREEMPT_RT"] = "y"
    if profile.per_vma_lock:
        found["CONFIG_PER_VMA_LOCK"] = "y"
    return found


def _value(btf: Btf, extern: Extern, known: Mapping[str, object], profile: KernelProfile) -> bytes:
    var = btf.type(extern.type_id)
    assert isinstance(var, k.Var)
    id = btf.resolve(var.type)
    size = btf.size_of(id)
    virtual = _virtual(extern, profile)
    if virtual is not None:
        return (virtual & (1 << 8 * size) - 1).to_bytes(size, "little")
    if extern.name not in known:
        if extern.weak:
            return bytes(size)
        rule = f"extern '{extern.name}' (strong): not resolved"
        raise BindError(rule, symbol=extern.name, errno=ESRCH)
    value = known[extern.name]
    found = btf.type(id)
    if isinstance(found, k.Array):
        return _text(extern, value, found.nelems)
    number = _number(extern, value, found)
    signed = getattr(found, "signed", False)
    low, high = (-1 << 8 * size - 1, 1 << 8 * size - 1) if signed else (0, 1 << 8 * size)
    if not low <= number < high:
        rule = f"value {number} of '{extern.name}' does not fit its {size} bytes"
        raise BindError(rule, symbol=extern.name, errno=ERANGE)
    return (number & (1 << 8 * size) - 1).to_bytes(size, "little")


def _virtual(extern: Extern, profile: KernelProfile) -> int | None:
    """Names that libbpf answers itself."""
    name = extern.name
    if name == "LINUX_KERNEL_VERSION":
        major, minor, patch = profile.version
        return major << 16 | minor << 8 | min(patch, 255)
    if name == "LINUX_HAS_BPF_COOKIE":
        return int(profile.at_least((5, 15)))
    if name == "LINUX_HAS_SYSCALL_WRAPPER":
        return 1  # x86-64 since 4.17
    if name.startswith("LINUX_") and extern.weak:
        return 0
    if not name.startswith("CONFIG_"):
        rule = f"extern '{name}' is neither CONFIG_ nor a virtual kconfig variable"
        raise BindError(rule, symbol=name, errno=EINVAL)
    return None


def _number(extern: Extern, value: object, found: k.Type) -> int:
    """A Python number, or the words of a config file: y, n, m, decimal, 0x…"""

    def refuse(rule: str) -> BindError:
        return BindError(f"'{extern.name}'={value!r}: {rule}", symbol=extern.name, errno=EINVAL)

    if isinstance(value, bool):
        value = "y" if value else "n"
    is_bool = isinstance(found, k.Int) and bool(found.encoding & k.IntEncoding.BOOL)
    if isinstance(value, str) and value in _TRISTATE:
        if is_bool and value == "m":
            raise refuse("a bool cannot be m")
        if isinstance(found, k.Enum | k.Enum64) or is_bool:
            return _TRISTATE[value]
        if isinstance(found, k.Int) and found.size == 1:
            return ord(value)
        raise refuse("y, n and m need a bool, char or tristate")
    if is_bool or isinstance(found, k.Enum | k.Enum64):
        raise refuse("a bool or tristate must be y, n or m")
    if isinstance(value, int):
        return value
    try:
        return int(str(value), 0)
    except ValueError:
        raise refuse("not a number") from None


def _text(extern: Extern, value: object, size: int) -> bytes:
    text = str(value)
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    elif not isinstance(value, str):
        rule = f"'{extern.name}'={value!r}: a char array needs a string"
        raise BindError(rule, symbol=extern.name, errno=EINVAL)
    return text.encode("utf-8", "surrogateescape")[: size - 1].ljust(size, b"\0")
