"""An outcome as text and as JSON."""

from __future__ import annotations

from typing import Any

from bpfemu.btf import Btf, kinds
from bpfemu.btf.values import value_to_python
from bpfemu.cli.console import heading, write
from bpfemu.errors import InputError
from bpfemu.machine.stop import Fault, Site
from bpfemu.outcome import Leak, Outcome, Record, errno_name
from bpfemu.skeleton import DataView, MapView, Skeleton

__all__ = ["outcome_dict", "show_outcome"]

SHOWN_ELEMENTS = 64  # of one map, as text


def outcome_dict(skel: Skeleton, outcome: Outcome) -> dict[str, Any]:
    """Everything a run shows, as plain data."""
    return {
        "program": outcome.program,
        "kernel": outcome.profile,
        "context": outcome.context,
        "seed": outcome.seed,
        "stop": outcome.stop.kind.value,
        "retval": outcome.value,
        "r0": outcome.r0,
        "insns": outcome.insns,
        "probe_reads": outcome.stop.probe_reads,
        "maps": {view.name: _map_data(view) for view in skel.maps if _shows(view)},
        "globals": {
            view.section: {name: _plain(getattr(view, name)) for name in _variables(view)}
            for view in skel.data_sections.values()
        },
        "records": [
            {"map": r.map, "value": _plain(_record(skel.object.btf, r)), "bytes": r.data.hex()}
            for r in outcome.records
        ],
        "printk": list(outcome.printk),
        "injected": list(outcome.injected),
        "iterators": [_fields(report) for report in outcome.iterators],
        "allocator": [_fields(stats) for stats in outcome.allocator],
        "leaks": [
            {"kind": k.kind, "what": k.what, "message": k.message, "site": _site(k.site)}
            for k in outcome.leaks
        ],
        "findings": [
            {"kind": f.kind.value, "detail": f.detail, "pc": f.pc, "line": f.line}
            for f in outcome.findings
        ],
        "fault": _fault(outcome.fault),
        "report": outcome.report.splitlines(),
        "trail": list(outcome.trail),
        "memory_used": outcome.memory_used,
    }


def _fields(data: Any) -> dict[str, Any]:
    return {name: getattr(data, name) for name in type(data).__dataclass_fields__}


def _site(site: Site | None) -> str | None:
    return None if site is None else str(site)


def _fault(fault: Fault | None) -> dict[str, Any] | None:
    if fault is None:
        return None
    return {
        "kind": fault.kind.value,
        "detail": fault.detail,
        "pc": fault.pc,
        "line": fault.line,
        "addr": fault.addr,
        "region": fault.region,
        "allocated_by": _site(fault.allocated_by),
        "freed_by": _site(fault.freed_by),
        "calls": [
            f"{f.function}+{f.pc}" + (f" ({f.line})" if f.line else "") for f in fault.frames
        ],
        "registers": {f"r{n}": value for n, value in enumerate(fault.regs)},
    }


def show_outcome(skel: Skeleton, outcome: Outcome) -> None:
    """Everything a run shows, as text; empty sections are left out, leaks never."""
    write(str(outcome), "red" if outcome.fault or outcome.leaks else "green")
    if outcome.report:
        write("\n" + outcome.report.rstrip("\n"))
    _section("printk", list(outcome.printk))
    for view in skel.maps:
        if _shows(view):
            _show_map(view)
    for data in skel.data_sections.values():
        _section(
            data.section, [f"{name} = {_text(getattr(data, name))}" for name in _variables(data)]
        )
    _section(
        f"records ({len(outcome.records)})",
        [f"{r.map}: {_text(_record(skel.object.btf, r))}" for r in outcome.records],
    )
    _section(
        "iterators",
        [
            f"{it.type}: new {errno_name(it.result)}, {it.elements} elements, {it.ended}"
            f" (insn {it.pc}{'; ' + it.line if it.line else ''})"
            for it in outcome.iterators
        ],
    )
    _section(
        "allocator",
        [
            f"cpu {s.cpu} class {s.unit_size}: {s.allocs} allocated, {s.frees} freed, "
            f"{s.failed} failed, {s.refills} refills, free_cnt {s.free_cnt} "
            f"(low {s.low_watermark}, high {s.high_watermark})"
            for s in outcome.allocator
        ],
    )
    _section("injected", list(outcome.injected))
    probes = outcome.stop.probe_reads
    _section("loads through BTF pointers", [f"{probes} faulted and read zero"] if probes else [])
    _section("findings", [f"insn {f.pc}: {f.detail} ({f.line})" for f in outcome.findings])
    _section("leaks", [_leak(leak) for leak in outcome.leaks] or ["none"])


def _variables(view: DataView) -> list[str]:
    """The variables of a section, format strings of bpf_printk left out."""
    return [name for name in view if not name.endswith((".bpfemu_fmt", ".____fmt"))]


def _leak(leak: Leak) -> str:
    return leak.message if leak.site is None else f"{leak.message}: {leak.site}"


def _section(title: str, lines: list[str]) -> None:
    if lines:
        heading(f"\n{title}")
        for line in lines:
            write(f"  {line}")


def _shows(view: MapView) -> bool:
    """Has it elements to show?  A map of a type that is not emulated is there for no program."""
    try:
        return bool(getattr(view.map, "shows_elements", True))
    except InputError:
        return False


def _map_data(view: MapView) -> list[dict[str, Any]]:
    return [{"key": _plain(key), "value": _plain(value)} for key, value in view.items()]


def _show_map(view: MapView) -> None:
    items = view.items()
    lines = [f"{_text(key)}: {_text(value)}" for key, value in items[:SHOWN_ELEMENTS]]
    if len(items) > SHOWN_ELEMENTS:
        lines.append(f"… {len(items) - SHOWN_ELEMENTS} more")
    plural = "" if len(items) == 1 else "s"
    _section(f"map {view.name} ({len(items)} element{plural})", lines or ["empty"])


def _record(btf: Btf | None, record: Record) -> Any:
    """A record through the struct named like its map ("events": event), if the size is right."""
    name = record.map
    for candidate in (name, name.removesuffix("s"), f"{name}_record", f"{name}_event"):
        type_id = btf.find(candidate, kinds.Struct) if btf is not None else None
        if btf is not None and type_id and btf.size_of(type_id) == len(record.data):
            return value_to_python(btf, type_id, record.data)
    return record.data


def _plain(value: Any) -> Any:
    """What JSON can hold; bytes become hex."""
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(one) for one in value) + "]"
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex(" ")
    if isinstance(value, bool | str):
        return repr(value) if isinstance(value, str) else str(value).lower()
    if isinstance(value, int) and value > 0xFFFF_FFFF:
        return hex(value)
    return str(value)
