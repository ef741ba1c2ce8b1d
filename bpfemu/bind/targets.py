"""Call instructions → what they call, and whether this kernel and program type have it."""

from __future__ import annotations

from errno import EACCES, EINVAL
from typing import Final

from bpfemu.bind.families import families_of, hooks_of
from bpfemu.bind.helper_names import HELPER_NAMES, helper_name
from bpfemu.bind.options import BindOptions
from bpfemu.bind.relocate import Relocated
from bpfemu.errors import BindError
from bpfemu.image import CallTarget
from bpfemu.isa.insn import Call, Insn
from bpfemu.proto.flags import KF_SLEEPABLE
from bpfemu.proto.spec import KfuncSpec
from bpfemu.record import dataclass

__all__ = ["GPL_LICENSES", "Program", "find_targets", "poison"]

GPL_LICENSES: Final = frozenset(
    {
        "GPL",
        "GPL v2",
        "GPL and additional rights",
        "Dual BSD/GPL",
        "Dual MIT/GPL",
        "Dual MPL/GPL",
    }
)
"""Licences that count as GPL (include/linux/license.h, license_is_gpl_compatible)."""


@dataclass(frozen=True, slots=True)
class Program:
    """What the rules about calls look at."""

    name: str
    prog_type: int
    sleepable: bool
    gpl: bool


def find_targets(
    code: list[Insn], program: Program, options: BindOptions, found: Relocated
) -> None:
    """Fill in a target for every call, and an error where the kernel refuses the program."""
    for slot, insn in enumerate(code):
        if not isinstance(insn, Call):
            continue
        if insn.kind == "helper" and slot not in found.targets:
            found.targets[slot], error = _helper(program, options, slot, insn.imm)
        elif insn.kind == "kfunc":
            error = _kfunc(program, slot, insn, found)
        else:
            continue
        if error is not None and slot not in found.errors:
            found.errors[slot] = error


def _helper(
    program: Program, options: BindOptions, slot: int, number: int
) -> tuple[CallTarget, BindError | None]:
    name = helper_name(number)

    def refuse(rule: str) -> tuple[CallTarget, BindError]:
        error = BindError(rule, program=program.name, symbol=name, slot=slot, errno=EINVAL)
        return CallTarget(name or f"unknown#{number}", None, True, rule), error

    if not name:
        return refuse(f"invalid func unknown#{number} (helpers end at {len(HELPER_NAMES) - 1})")
    spec = options.catalog.helpers.get(number)
    if spec is None:
        return refuse(f"helper {name}#{number} is not emulated")
    if spec.mark.progs and not families_of(program.prog_type) & set(spec.mark.progs):
        return refuse(f"program of this type cannot use helper {name}#{number}")
    if spec.mark.gpl and not program.gpl:
        return refuse(
            f"cannot call GPL-restricted function from non-GPL compatible program: {name}"
        )
    if spec.mark.sleepable and not program.sleepable:
        return refuse(f"helper call might sleep in a non-sleepable prog: {name}#{number}")
    return CallTarget(name, spec), None


def _kfunc(program: Program, slot: int, insn: Call, found: Relocated) -> BindError | None:
    target = found.targets.get(slot)
    if target is None:  # an encoded id without a relocation says nothing about its kernel
        rule = f"kernel btf_id {insn.imm} is not bound by a relocation"
        found.targets[slot] = CallTarget(f"kfunc#{insn.imm}", None, True, rule)
        return BindError(rule, program=program.name, slot=slot, errno=EINVAL)
    if target.poisoned or not isinstance(target.spec, KfuncSpec):
        return None

    def refuse(rule: str, errno: int) -> BindError:
        return BindError(rule, program=program.name, symbol=target.name, slot=slot, errno=errno)

    if not program.gpl:
        rule = "cannot call kernel function from non-GPL compatible program"
        return refuse(f"{rule}: {target.name}", EINVAL)
    if not hooks_of(program.prog_type) & set(target.spec.mark.hooks):
        return refuse(f"calling kernel function {target.name} is not allowed", EACCES)
    if target.spec.flags & KF_SLEEPABLE and not program.sleepable:
        rule = f"program must be sleepable to call sleepable kfunc {target.name}"
        return refuse(rule, EACCES)
    return None


def poison(slots: dict[int, str], found: Relocated) -> None:
    """Make calls of instructions that CO-RE could not relocate: they fault when reached."""
    for slot, why in slots.items():
        found.targets[slot] = CallTarget("<invalid CO-RE relocation>", None, True, why)
