"""Probes: what they are told, and that they can stop a run."""

from __future__ import annotations

import pytest

from bpfemu.machine.machine import CODE_BASE, Machine
from bpfemu.machine.memory import LoadKind
from bpfemu.machine.probe import CallEvent, Event, LoadEvent, StepEvent, StoreEvent
from bpfemu.machine.stop import StopKind
from tests.engine.interp.test_call import loop
from tests.engine.ways import build, machine_for, start


class Recorder:
    """Keeps all events; asks to stop before the slots in ``stops``."""

    def __init__(self, *stops: int) -> None:
        self.events: list[Event] = []
        self.stops = stops

    def event(self, event: Event) -> bool:
        self.events.append(event)
        return isinstance(event, StepEvent) and event.pc in self.stops

    def of(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def test_each_instruction_is_announced_with_the_registers_before_it() -> None:
    probe = Recorder()
    bare = machine_for(probe=probe)
    run = start("compiled", build("r0 = 5; r0 += 1; exit"), bare, (9,))

    stop = run.resume()

    top = bare.machine.stack[0]
    assert stop.r0 == 6
    assert probe.events == [
        StepEvent(0, 0, (None, 9, *[None] * 8, top), 0),
        StepEvent(1, 1, (5, 9, *[None] * 8, top), 0),
        StepEvent(2, 2, (6, 9, *[None] * 8, top), 0),
    ]


def test_depth_counts_the_frames_below() -> None:
    probe = Recorder()
    run = start("cold", build("call f; exit; f: r0 = 1; exit"), machine_for(probe=probe))

    run.resume()

    depths = [event.depth for event in probe.events if isinstance(event, StepEvent)]
    assert depths == [0, 1, 1, 0]


def test_loads_and_stores_are_told_with_their_values() -> None:
    probe = Recorder()
    bare = machine_for(b"\xf0" + bytes(15), probe=probe)
    text = """
        r3 = *(s8 *)(r1 + 0)
        *(u16 *)(r1 + 2) = 0x12345
        r2 = 2
        lock *(u32 *)(r1 + 4) += r2
        r0 = load_acquire((u8 *)(r1 + 0))
        exit
    """

    start("cold", build(text), bare).resume()

    addr = bare.addr
    assert probe.of(LoadEvent) == [
        LoadEvent(0, addr, 1, 2**64 - 16),
        LoadEvent(4, addr, 1, 0xF0),
    ]
    assert probe.of(StoreEvent) == [
        StoreEvent(1, addr + 2, 2, 0x2345),
        StoreEvent(3, addr + 4, 4, 2),
    ]


def test_calls_are_told_when_they_are_done() -> None:
    probe = Recorder()

    def double(machine: Machine, regs: list[int]) -> int:
        return 2 * regs[1]

    bare = machine_for(b"", double, probe=probe)
    image = build("r1 = 4; r2 = 5; call 0; exit", names=["bpf_double"])

    start("cold", image, bare, ()).resume()

    assert probe.of(CallEvent) == [CallEvent(2, "bpf_double", (4, 5, None, None, None), 8)]


def test_a_call_with_callbacks_is_told_after_them() -> None:
    probe = Recorder()
    bare = machine_for(b"", loop, probe=probe)
    callback = CODE_BASE + 8 * 6
    text = f"r1 = 2; r2 = {callback} ll; r3 = 0; call 0; exit; r0 = 0; exit"

    start("cold", build(text), bare).resume()

    calls = probe.of(CallEvent)
    assert calls == [CallEvent(4, "", (2, callback, 0, None, None), 2)]
    assert probe.events.index(calls[0]) == len(probe.events) - 2


def test_a_probe_can_stop_the_run_and_it_goes_on() -> None:
    probe = Recorder(1)
    run = start("cold", build("r0 = 5; r0 += 1; exit"), machine_for(probe=probe))

    stop = run.resume()

    assert (stop.kind, stop.pc, stop.insns) == (StopKind.BREAKPOINT, 1, 1)
    assert run.stop is None
    assert run.resume().r0 == 6
    announced = [event.pc for event in probe.events if isinstance(event, StepEvent)]
    assert announced == [0, 1, 2]


def test_a_probe_can_stop_a_step() -> None:
    run = start("cold", build("r0 = 5; r0 += 1; exit"), machine_for(probe=Recorder(1)))

    stop = run.step(3)

    assert stop is not None
    assert (stop.kind, run.insns) == (StopKind.BREAKPOINT, 1)
    assert run.step() is None
    assert run.insns == 2


def test_a_faulting_access_is_announced_but_not_told() -> None:
    probe = Recorder()
    run = start("cold", build("r0 = *(u64 *)(r1 + 0); exit"), machine_for(probe=probe))

    stop = run.resume()

    assert stop.kind is StopKind.FAULT
    assert [type(event) for event in probe.events] == [StepEvent]


def test_an_access_through_nothing_is_announced() -> None:
    probe = Recorder()
    run = start("cold", build("r0 = *(u64 *)(r7 + 0); exit"), machine_for(probe=probe))

    assert run.resume().kind is StopKind.FAULT
    assert len(probe.events) == 1


def test_a_dropped_arena_store_is_told_as_nothing() -> None:
    probe = Recorder()
    image = build("*(u64 *)(r1 + 0) = 5; r0 = 0; exit", kinds={0: LoadKind.ARENA})

    start("cold", image, machine_for(probe=probe), (0x1000,)).resume()

    assert probe.of(StoreEvent) == [StoreEvent(0, 0x1000, 8, 0)]


def test_a_probe_that_leaves_stops_the_events() -> None:
    bare = machine_for()

    class Once(Recorder):
        def event(self, event: Event) -> bool:
            bare.machine.probe = None
            return super().event(event)

    probe = bare.machine.probe = Once()
    run = start("cold", build("*(u64 *)(r10 - 8) = 1; r0 = 0; exit"), bare)

    assert run.resume().kind is StopKind.EXIT
    assert len(probe.events) == 1


@pytest.mark.parametrize("last", ["r0 = 1", "goto +7"])
def test_leaving_the_code_is_announced_too(last: str) -> None:
    probe = Recorder()
    run = start("cold", build(last), machine_for(probe=probe))

    run.resume()

    assert [event.pc for event in probe.events if isinstance(event, StepEvent)] == [0, 1]
