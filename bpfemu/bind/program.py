"""The passes of bind, one after the other, and the image they make."""

from __future__ import annotations

from errno import EINVAL

from bpfemu.bind.attach import Attach, find_attach
from bpfemu.bind.check import check_reached, check_shape
from bpfemu.bind.context import Context, widened
from bpfemu.bind.kconfig import kconfig_data
from bpfemu.bind.kinds import Facts, Input, find_kinds
from bpfemu.bind.layout import Layout, lay_out
from bpfemu.bind.link import TEXT, Linked, link, source_lines
from bpfemu.bind.options import BindOptions
from bpfemu.bind.relocate import Relocated, relocate
from bpfemu.bind.resolve import Externs
from bpfemu.bind.results import Calls
from bpfemu.bind.sections import Section, find_section
from bpfemu.bind.targets import GPL_LICENSES, Program, find_targets, poison
from bpfemu.bind.walk import Walker
from bpfemu.errors import BindError
from bpfemu.hashing import sha256
from bpfemu.image import CallTarget, MapSlot, ProgramImage, Subprog
from bpfemu.isa.encoding import encode
from bpfemu.isa.flow import func_target
from bpfemu.isa.insn import Call, Insn, LoadImm64
from bpfemu.isa.ops import Pseudo
from bpfemu.machine.machine import code_address
from bpfemu.object import BpfObject, FuncDef
from bpfemu.record import dataclass, replace

__all__ = ["autoloaded", "bind_program", "reached_slots"]


def autoloaded(obj: BpfObject) -> tuple[str, ...]:
    """The names of the programs that libbpf would load, in order."""
    return tuple(
        f.name for f in obj.functions if f.section != TEXT and not f.section.startswith("?")
    )


def bind_program(obj: BpfObject, name: str, options: BindOptions) -> ProgramImage:
    """The passes in order, then the image."""
    function = _entry(obj, name)
    section = _section(function)
    attach = find_attach(name, section, options)
    gpl = obj.license in GPL_LICENSES
    program = Program(name, section.prog_type, section.definition.sleepable, gpl)
    linked = link(obj, function)
    poisoned = _relocate_core(obj, linked, options)
    layout = lay_out(obj, options, kconfig_data(obj, options))
    found = relocate(obj, linked, layout, Externs(obj, options))
    poison(poisoned, found)
    check_shape(linked)
    find_targets(linked.code, program, options, found)
    facts = find_kinds(_input(linked, found, layout, options, program, attach))
    check_reached(linked, found, facts.reached, layout, options.catalog)
    return _image(
        _Bound(obj, function, section, attach, program, linked, layout, found, facts), options
    )


def _relocate_core(obj: BpfObject, linked: Linked, options: BindOptions) -> dict[int, str]:
    """CO-RE, imported only for programs that have such relocations."""
    if not linked.core_relos:
        return {}
    from bpfemu.bind.core import relocate_core

    return relocate_core(linked, obj.btf, options.kernel_btf, options.modules)


def reached_slots(
    obj: BpfObject, linked: Linked, poisoned: dict[int, str], options: BindOptions
) -> bytearray:
    """The passes behind CO-RE as far as they say what control can reach: a flag per slot.

    A target that this kernel lacks is left out: it says nothing about the code.
    """
    function = linked.parts[0].function
    section = _section(function)
    try:
        attach = find_attach(linked.name, section, options)
    except BindError:
        attach = Attach()
    gpl = obj.license in GPL_LICENSES
    program = Program(linked.name, section.prog_type, section.definition.sleepable, gpl)
    layout = lay_out(obj, options, kconfig_data(obj, options))
    found = relocate(obj, linked, layout, Externs(obj, options))
    poison(poisoned, found)
    check_shape(linked)
    find_targets(linked.code, program, options, found)
    return find_kinds(_input(linked, found, layout, options, program, attach)).reached


@dataclass(frozen=True, slots=True)
class _Bound:
    """What the passes found."""

    obj: BpfObject
    function: FuncDef
    section: Section
    attach: Attach
    program: Program
    linked: Linked
    layout: Layout
    found: Relocated
    facts: Facts


def _image(bound: _Bound, options: BindOptions) -> ProgramImage:
    linked, layout, facts, program = bound.linked, bound.layout, bound.facts, bound.program
    section, attach = bound.section, bound.attach
    code, calls = _final(linked, bound.found, facts, program)
    return ProgramImage(
        name=program.name,
        section=section.name,
        prog_type=section.prog_type,
        attach_type=section.attach_type,
        attach_to=section.attach_to,
        sleepable=program.sleepable,
        gpl=program.gpl,
        code=code,
        subprogs=_subprogs(linked, facts),
        calls=calls,
        maps=_maps(layout, options),
        segments=layout.segments,
        loads=tuple(facts.loads),
        uninit=frozenset(facts.uninit),
        lines=source_lines(linked),
        arena_base=layout.base,
        arena_size=options.arena_size,
        btf=bound.obj.btf,
        btf_id=bound.function.btf_id,
        kernel_btf=options.kernel_btf,
        attach_btf_id=attach.btf_id,
        ctx_args=attach.args,
        exception_callback=linked.exception_callback,
        tags=bound.function.tags,
        ksyms=tuple(sorted({(s.name, s.addr, s.module) for s in bound.found.ksyms})),
        digest=_digest(code, calls, facts),
        warnings=bound.obj.notes,
    )


def _entry(obj: BpfObject, name: str) -> FuncDef:
    programs = [f for f in obj.functions if f.section != TEXT]
    for function in programs:
        if function.name == name:
            return function
    known = ", ".join(f.name for f in programs) or "none"
    rule = f"no program {name!r} in {obj.name}; there are: {known}"
    raise BindError(rule, symbol=name, errno=EINVAL)


def _section(function: FuncDef) -> Section:
    section = find_section(function.section)
    if section is None:
        rule = f"missing BPF prog type, check ELF section name '{function.section}'"
        raise BindError(rule, program=function.name, symbol=function.section, errno=EINVAL)
    return section


def _input(
    linked: Linked,
    found: Relocated,
    layout: Layout,
    options: BindOptions,
    program: Program,
    attach: Attach,
) -> Input:
    walker = Walker(options.kernel_btf)
    maps = [slot.definition for slot in layout.maps]
    inner: dict[int, int] = {}
    for index, slot in enumerate(layout.maps):
        if slot.inner is not None:
            inner[index] = len(maps)
            maps.append(slot.inner.definition)
    calls = Calls(walker, maps, inner, options.catalog, options.profile, program.prog_type)
    return Input(
        name=program.name,
        code=linked.code,
        starts=tuple(part.start for part in linked.parts),
        globals_=frozenset(p.start for p in linked.parts if p.function.binding != "local"),
        values=found.values,
        targets=found.targets,
        frozen=_frozen(layout),
        calls=calls,
        context=Context(program.prog_type, attach, walker),
        rcu=not program.sleepable,
        gpl=program.gpl,
        exception_callback=linked.exception_callback,
    )


def _frozen(layout: Layout) -> dict[int, bytes]:
    """Data that cannot change any more, by map index."""
    segments = {s.addr: s for s in layout.segments if not s.writable}
    return {
        index: segments[slot.values].data
        for index, slot in enumerate(layout.maps)
        if slot.values in segments
    }


def _maps(layout: Layout, options: BindOptions) -> tuple[MapSlot, ...]:
    """The maps this kernel can create; programs that reach others have been refused."""
    return tuple(slot for slot in layout.maps if slot.definition.type in options.catalog.map_types)


def _subprogs(linked: Linked, facts: Facts) -> tuple[Subprog, ...]:
    return tuple(
        Subprog(
            part.function.name, part.start, part.end, (depth + 7) // 8 * 8, part.function.btf_id
        )
        for part, depth in zip(linked.parts, facts.depths, strict=True)
    )


def _final(
    linked: Linked, found: Relocated, facts: Facts, program: Program
) -> tuple[tuple[Insn, ...], tuple[CallTarget, ...]]:
    """Calls numbered, function addresses in place, context pointers widened."""
    numbers: dict[tuple[str, str, int], int] = {}
    calls: list[CallTarget] = []
    code: list[Insn] = []
    for slot, insn in enumerate(linked.code):
        if isinstance(insn, Call):
            target = found.targets[slot]
            if slot in facts.refused:
                target = replace(target, poisoned=True, why=facts.refused[slot])
            key = (insn.kind, f"{target.module}:{target.name}:{target.why}", target.btf_id)
            if key not in numbers:
                numbers[key] = len(calls)
                calls.append(target)
            insn = Call(insn.kind, insn.imm, insn.off, numbers[key])
        elif isinstance(insn, LoadImm64) and insn.pseudo is Pseudo.FUNC:
            address = func_target(insn, slot)
            assert address is not None
            insn = LoadImm64(insn.dst, code_address(address))
        elif slot in facts.contexts:
            kind, base = facts.loads[slot], facts.contexts[slot]
            insn = widened(program.prog_type, insn, kind, base)
        code.append(insn)
    return tuple(code), tuple(calls)


def _digest(code: tuple[Insn, ...], calls: tuple[CallTarget, ...], facts: Facts) -> str:
    parts = [encode(code), bytes(facts.loads), *(call.name.encode() for call in calls)]
    return sha256(b"\0".join(parts))
