"""An object's BTF as libbpf hands it to the kernel: externs made into something it accepts.

The kernel refuses VARs and FUNCs of extern linkage, so what ``.ksyms`` lists becomes 4-byte ints
and global functions before BPF_BTF_LOAD (BTF notes, section 7.2).
"""

from __future__ import annotations

from typing import Final

from bpfemu.btf import Btf, BtfBuilder
from bpfemu.btf import kinds as k

__all__ = ["upload_btf"]

DUMMY: Final = "dummy_ksym"
_INT_SIZE: Final = 4  # bytes


def upload_btf(btf: Btf) -> Btf:
    """The BTF with its ``.ksyms`` section rewritten; the same one when it has none."""
    number = btf.find(".ksyms", k.DataSec)
    section = btf.type(number) if number else None
    if not number or not isinstance(section, k.DataSec):
        return btf
    builder = BtfBuilder(btf.base, btf.byteorder)
    for _, found in btf.types():
        builder.add(found)
    plain = _int(btf, builder)
    dummy = 0
    if any(isinstance(btf.type(entry.type), k.Func) for entry in section.entries):
        dummy = builder.var(DUMMY, plain, k.Linkage.GLOBAL)
    entries = []
    for index, entry in enumerate(section.entries):
        found = btf.type(entry.type)
        variable = entry.type
        if isinstance(found, k.Func):
            _name_params(btf, builder, found.type)
            builder.set(entry.type, k.Func(found.name, found.type, int(k.Linkage.GLOBAL)))
            variable = dummy
        elif isinstance(found, k.Var):
            builder.set(entry.type, k.Var(found.name, plain, int(k.Linkage.GLOBAL)))
        entries.append(k.SecVar(variable, _INT_SIZE * index, _INT_SIZE))
    size = _INT_SIZE * len(entries)
    builder.set(number, k.DataSec(section.name, size, tuple(entries)))
    return builder.build(btf.name)


def _int(btf: Btf, builder: BtfBuilder) -> int:
    """A 4-byte signed integer: one that is there, else ``int``."""
    for id in btf.ids_of(k.Int):
        found = btf.type(id)
        if isinstance(found, k.Int) and found.size == _INT_SIZE and found.encoding == 1:
            return id
    return builder.int_("int", _INT_SIZE, 1)


def _name_params(btf: Btf, builder: BtfBuilder, proto_id: int) -> None:
    """Parameters need names when a function is not extern."""
    proto = btf.type(proto_id)
    if isinstance(proto, k.FuncProto) and any(p.type and not p.name for p in proto.params):
        params = tuple(k.Param(p.name or DUMMY if p.type else "", p.type) for p in proto.params)
        builder.set(proto_id, k.FuncProto(proto.ret, params))
