"""Run one program every way the reference engine knows, and a gate that tests can fill."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from bpfemu.engine.bare import Bare, BareGate, bare_image, bare_machine
from bpfemu.engine.interp import InterpEngine, InterpRun
from bpfemu.image import CallTarget, ProgramImage
from bpfemu.isa.insn import Call, Insn, Slot
from bpfemu.machine.gate import UNSET, Upcall
from bpfemu.machine.machine import DEFAULT_BUDGET, Machine
from bpfemu.machine.memory import LoadKind
from bpfemu.machine.probe import Probe
from bpfemu.machine.stop import Stop
from bpfemu.record import replace
from tests.builders.asm import prog

WAYS = ("cold", "compiled", "stepped")

Service = Callable[[Machine, list[int]], "Upcall | int | None"]


class Gate(BareGate):
    """Calls Python functions, by target: a number they return is r0, a generator calls back."""

    def __init__(self, *services: Service) -> None:
        super().__init__(b"\x11\x22\x33\x44\x55\x66\x77\x88")
        self.services = services
        self.machine: Machine | None = None
        self.calls: list[tuple[int, Slot, int]] = []  # (target, pc, insns)

    def call(self, target: int, pc: Slot, regs: list[int]) -> Upcall | None:
        assert self.machine is not None
        self.calls.append((target, pc, self.machine.insns))
        result = self.services[target](self.machine, regs)
        regs[1:6] = [UNSET] * 5
        if isinstance(result, int) or result is None:
            regs[0] = UNSET if result is None else result
            return None
        return result


def build(
    text: str | Sequence[Insn],
    *,
    kinds: dict[Slot, LoadKind] | None = None,
    uninit: Collection[Slot] | None = None,
    names: Sequence[str] = (),
) -> ProgramImage:
    """An image of assembly; ``call NUMBER`` goes to that service of a :class:`Gate`."""
    code = prog(text) if isinstance(text, str) else tuple(text)
    code = tuple(
        replace(insn, target=insn.imm) if isinstance(insn, Call) else insn for insn in code
    )
    loads = [(kinds or {}).get(slot, LoadKind.UNKNOWN) for slot in range(len(code))]
    image = bare_image(code, loads=loads, uninit=uninit)
    return replace(image, calls=tuple(CallTarget(name, None) for name in names))


def machine_for(
    mem: bytes = b"",
    *services: Service,
    budget: int = DEFAULT_BUDGET,
    probe: Probe | None = None,
) -> Bare:
    """A bare machine whose gate has the services."""
    gate = Gate(*services)
    bare = bare_machine(mem, gate=gate, budget=budget, probe=probe)
    gate.machine = bare.machine
    return bare


def start(
    way: str, image: ProgramImage, bare: Bare, args: tuple[int, ...] | None = None
) -> InterpRun:
    """A run at its start, on code that compiles at once or when it is worth it."""
    code = InterpEngine(eager=way == "compiled").prepare(image)
    return code.start(bare.machine, bare.args if args is None else args)


def finish(way: str, run: InterpRun) -> Stop:
    """Go to the end: in one go, or step by step."""
    if way != "stepped":
        return run.resume()
    stop = None
    while stop is None:
        stop = run.step()
    return stop


def go(
    way: str,
    text: str | Sequence[Insn],
    mem: bytes = b"",
    *services: Service,
    budget: int = DEFAULT_BUDGET,
    kinds: dict[Slot, LoadKind] | None = None,
) -> Stop:
    """Assemble and run to the end."""
    bare = machine_for(mem, *services, budget=budget)
    return finish(way, start(way, build(text, kinds=kinds), bare))
