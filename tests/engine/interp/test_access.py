"""Loads, stores and atomics: what is allowed, what faults, what reads as zero, what is noted."""

from __future__ import annotations

import pytest

from bpfemu.engine.bare import BARE_BASE, BARE_SIZE, Bare
from bpfemu.engine.interp.mem import LOAD_STATES, in_frame, state_word
from bpfemu.isa.insn import Reg
from bpfemu.machine.memory import (
    FREED,
    ITER,
    KERNEL,
    READ_ONLY,
    REDZONE,
    UNINIT,
    VALID,
    LoadKind,
    RegionKind,
)
from bpfemu.machine.stop import Fault, FaultKind, Stop, StopKind
from tests.engine.ways import WAYS, build, finish, machine_for, start

every_way = pytest.mark.parametrize("way", WAYS)
every_size = pytest.mark.parametrize("size", [1, 2, 4, 8])

DATA = bytes.fromhex("f1e2d3c4b5a69788 0123456789abcdef")
WORDS = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}


def run_at(
    way: str, text: str, kind: LoadKind, *, state: int = VALID, at: int = 0
) -> tuple[Stop, Bare]:
    """Run with r1 = DATA's address + ``at``, all its bytes in ``state``, slot 0 of ``kind``."""
    bare = machine_for(DATA)
    bare.machine.memory.set_state(bare.addr, len(DATA), state)
    run = start(way, build(text, kinds={0: kind}), bare, (bare.addr + at, 7))
    return finish(way, run), bare


def fault_of(stop: Stop) -> Fault:
    assert stop.kind is StopKind.FAULT
    assert stop.fault is not None
    return stop.fault


# ---- plain loads and stores -------------------------------------------------------------


@every_way
@every_size
@pytest.mark.parametrize("at", [0, 1, 2, 3, 4, 8])
@pytest.mark.parametrize("kind", [kind for kind in LoadKind])
def test_loads_of_any_alignment_are_little_endian(
    way: str, size: int, at: int, kind: LoadKind
) -> None:
    stop, _ = run_at(way, f"r0 = *({WORDS[size]} *)(r1 + {at}); exit", kind)

    assert stop.r0 == int.from_bytes(DATA[at : at + size], "little")
    assert stop.probe_reads == 0


@every_way
@pytest.mark.parametrize("at", [0, 1, 8, 12])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_signed_loads_extend_the_sign(way: str, size: int, at: int) -> None:
    stop, _ = run_at(way, f"r0 = *(s{8 * size} *)(r1 + {at}); exit", LoadKind.MEM)

    want = int.from_bytes(DATA[at : at + size], "little", signed=True)
    assert stop.r0 == want & (1 << 64) - 1


@every_way
@every_size
@pytest.mark.parametrize("at", [0, 1, 4, 8])
@pytest.mark.parametrize("src", ["r2", "-2"])
def test_stores_write_just_their_bytes(way: str, size: int, at: int, src: str) -> None:
    text = f"*({WORDS[size]} *)(r1 + {at}) = {src}; r0 = 0; exit"
    stop, bare = run_at(way, text, LoadKind.UNKNOWN)

    value = 7 if src == "r2" else -2
    want = bytearray(DATA)
    want[at : at + size] = value.to_bytes(8, "little", signed=True)[:size]
    assert stop.kind is StopKind.EXIT
    assert bare.machine.memory.read(bare.addr, len(DATA)) == want


@every_way
@pytest.mark.parametrize(
    ("at", "size", "kind"),
    [
        (-1, 1, FaultKind.OUT_OF_BOUNDS),
        (16, 1, FaultKind.OUT_OF_BOUNDS),
        (15, 2, FaultKind.OUT_OF_BOUNDS),
        (9, 8, FaultKind.OUT_OF_BOUNDS),
        (16, 8, FaultKind.OUT_OF_BOUNDS),
        (-8, 8, FaultKind.OUT_OF_BOUNDS),
        (32000, 4, FaultKind.OUT_OF_BOUNDS),
    ],
)
@pytest.mark.parametrize("text", ["r0 = *({} *)(r1 {:+d}); exit", "*({} *)(r1 {:+d}) = 1; exit"])
def test_accesses_beyond_a_region_fault(
    way: str, at: int, size: int, kind: FaultKind, text: str
) -> None:
    stop, bare = run_at(way, text.format(WORDS[size], at), LoadKind.UNKNOWN)

    fault = fault_of(stop)
    assert (fault.kind, fault.addr, fault.size) == (kind, bare.addr + at, size)
    assert "'memory'" in fault.region or "stack" in fault.region


@every_way
@pytest.mark.parametrize(
    ("addr", "kind"),
    [
        (0, FaultKind.NULL_DEREF),
        (8, FaultKind.NULL_DEREF),
        (4096, FaultKind.OUT_OF_BOUNDS),
        (0x7FFF_FFFF_0000, FaultKind.OUT_OF_BOUNDS),
        (0x8000_0000_0000_0000, FaultKind.OUT_OF_BOUNDS),
        (2**64 - 8, FaultKind.OUT_OF_BOUNDS),
        (2**64 - 1, FaultKind.OUT_OF_BOUNDS),
    ],
)
def test_addresses_far_away_fault(way: str, addr: int, kind: FaultKind) -> None:
    for text in ("r0 = *(u64 *)(r1 + 0); exit", "*(u64 *)(r1 + 0) = 1; exit"):
        stop = finish(way, start(way, build(text), machine_for(), (addr,)))

        assert (fault_of(stop).kind, fault_of(stop).addr) == (kind, addr)


@every_way
@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (READ_ONLY, FaultKind.READ_ONLY),
        (FREED, FaultKind.USE_AFTER_FREE),
        (KERNEL, FaultKind.OUT_OF_BOUNDS),
        (REDZONE, FaultKind.OUT_OF_BOUNDS),
        (0, FaultKind.OUT_OF_BOUNDS),
    ],
)
@every_size
def test_stores_need_writable_bytes(way: str, size: int, state: int, kind: FaultKind) -> None:
    text = f"*({WORDS[size]} *)(r1 + 0) = 1; exit"
    stop, bare = run_at(way, text, LoadKind.MAP_VALUE, state=state)

    assert fault_of(stop).kind is kind
    assert bare.machine.memory.data[bare.addr - bare.machine.memory.base] == DATA[0]


@every_way
@every_size
@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (FREED, FaultKind.USE_AFTER_FREE),
        (KERNEL, FaultKind.OUT_OF_BOUNDS),
        (REDZONE, FaultKind.OUT_OF_BOUNDS),
        (0, FaultKind.OUT_OF_BOUNDS),
    ],
)
@pytest.mark.parametrize(
    "load", [kind for kind in LoadKind if kind not in (LoadKind.PROBE, LoadKind.ARENA)]
)
def test_ordinary_loads_need_readable_bytes(
    way: str, size: int, state: int, kind: FaultKind, load: LoadKind
) -> None:
    stop, _ = run_at(way, f"r0 = *({WORDS[size]} *)(r1 + 0); exit", load, state=state)

    assert fault_of(stop).kind is kind


@every_way
@every_size
def test_read_only_memory_can_be_read(way: str, size: int) -> None:
    text = f"r0 = *({WORDS[size]} *)(r1 + 0); exit"
    stop, _ = run_at(way, text, LoadKind.MAP_VALUE, state=READ_ONLY)

    assert stop.r0 == int.from_bytes(DATA[:size], "little")


@every_way
@every_size
def test_one_bad_byte_at_the_end_is_enough(way: str, size: int) -> None:
    bare = machine_for(DATA)
    bare.machine.memory.set_state(bare.addr + size - 1, 1, FREED)
    text = f"r0 = *({WORDS[size]} *)(r1 + 0); exit"

    stop = finish(way, start(way, build(text), bare))

    assert fault_of(stop).kind is FaultKind.USE_AFTER_FREE


# ---- stacks, iterators ------------------------------------------------------------------


@every_way
@every_size
def test_reading_stack_bytes_that_nobody_wrote_is_a_finding(way: str, size: int) -> None:
    text = f"r0 = *({WORDS[size]} *)(r10 - 8); r0 = *({WORDS[size]} *)(r10 - 8); exit"
    kinds = {0: LoadKind.STACK, 1: LoadKind.STACK}
    bare = machine_for()
    stop = finish(way, start(way, build(text, kinds=kinds), bare))

    assert stop.kind is StopKind.EXIT
    assert [(found.kind, found.pc) for found in stop.findings] == [
        (FaultKind.UNINITIALISED, 0),
        (FaultKind.UNINITIALISED, 1),
    ]
    assert f"read of {size} bytes at {bare.machine.stack[0] - 8:#x}" in stop.findings[0].detail
    assert "stack of frame 0" in stop.findings[0].detail


@every_way
def test_a_finding_in_a_loop_is_told_once(way: str) -> None:
    text = "r6 = 9; l: r0 = *(u64 *)(r10 - 8); r6 += -1; if r6 != 0 goto l; exit"

    stop = finish(way, start(way, build(text), machine_for()))

    assert [found.pc for found in stop.findings] == [1]


@every_way
@every_size
@pytest.mark.parametrize("kind", [LoadKind.STACK, LoadKind.UNKNOWN, LoadKind.MEM])
def test_what_the_program_wrote_on_its_stack_can_be_read(
    way: str, size: int, kind: LoadKind
) -> None:
    text = f"*({WORDS[size]} *)(r10 - 8) = 5; r0 = *({WORDS[size]} *)(r10 - 8); exit"
    kinds = {0: kind, 1: kind}

    stop = finish(way, start(way, build(text, kinds=kinds), machine_for()))

    assert (stop.r0, stop.findings) == (5, ())


@every_way
def test_a_wider_read_than_what_was_written_is_a_finding(way: str) -> None:
    text = "*(u32 *)(r10 - 8) = 5; r0 = *(u64 *)(r10 - 8); r0 = 0; exit"

    stop = finish(way, start(way, build(text), machine_for()))

    assert [found.pc for found in stop.findings] == [1]


@every_way
@every_size
def test_the_stack_cannot_be_read_where_an_iterator_lives(way: str, size: int) -> None:
    bare = machine_for()
    image = build(f"r0 = *({WORDS[size]} *)(r10 - 8); exit", kinds={0: LoadKind.STACK})
    run = start(way, image, bare)
    bare.machine.memory.set_state(bare.machine.stack[0] - 8, 8, ITER)

    stop = finish(way, run)

    assert fault_of(stop).kind is FaultKind.ITERATOR_STATE


@every_way
@every_size
def test_an_element_inside_an_iterator_can_be_read(way: str, size: int) -> None:
    stop, _ = run_at(way, f"r0 = *({WORDS[size]} *)(r1 + 0); exit", LoadKind.MEM, state=ITER)

    assert stop.r0 == int.from_bytes(DATA[:size], "little")


@every_way
@every_size
@pytest.mark.parametrize("kind", [LoadKind.STACK, LoadKind.UNKNOWN])
def test_a_store_over_an_iterator_goes_ahead_and_is_noted(
    way: str, size: int, kind: LoadKind
) -> None:
    text = f"*({WORDS[size]} *)(r1 + 0) = 1; r0 = 0; exit"
    stop, bare = run_at(way, text, kind, state=ITER)

    assert stop.kind is StopKind.EXIT
    assert set(bare.machine.memory.clobbered) == {(bare.addr, size)}
    assert bare.machine.memory.state_of(bare.addr) == VALID


@every_way
@pytest.mark.parametrize("text", ["*(u32 *)(r1 + 0) = 1", "lock *(u32 *)(r1 + 0) += r2"])
def test_an_element_inside_an_iterator_cannot_be_written(way: str, text: str) -> None:
    # verifier.c, check_kfunc_call: memory whose size comes from the result's type is read-only.
    stop, bare = run_at(way, f"{text}; r0 = 0; exit", LoadKind.MEM, state=ITER)

    assert fault_of(stop).kind is FaultKind.READ_ONLY
    assert bare.machine.memory.clobbered == []


# ---- probing loads ----------------------------------------------------------------------


@every_way
@every_size
@pytest.mark.parametrize(
    "addr",
    [
        0,
        0x1000,
        0x7FFF_FFFF_FFF8,
        0x8000_0000_0000_0000,
        BARE_BASE + BARE_SIZE - 64,
        BARE_BASE + BARE_SIZE,
        0xFFFF_FFFF_FF60_0000,
        2**64 - 4095,
        2**64 - 1,
    ],
)
def test_probing_loads_that_fault_read_zero_and_are_counted(way: str, size: int, addr: int) -> None:
    # Observed on a live kernel for NULL, user, unmapped, non-canonical and -4095 addresses.
    text = f"r0 = 5; r0 = *({WORDS[size]} *)(r1 + 0); exit"
    image = build(text, kinds={1: LoadKind.PROBE})

    stop = finish(way, start(way, image, machine_for(DATA), (addr,)))

    assert (stop.kind, stop.r0, stop.probe_reads) == (StopKind.EXIT, 0, 1)


@every_way
def test_a_sign_extending_probe_that_faults_reads_zero(way: str) -> None:
    image = build("r0 = *(s16 *)(r1 + 8); exit", kinds={0: LoadKind.PROBE})

    stop = finish(way, start(way, image, machine_for(), (0,)))

    assert (stop.r0, stop.probe_reads) == (0, 1)


@every_way
@every_size
@pytest.mark.parametrize("state", [VALID, READ_ONLY, KERNEL, UNINIT, REDZONE, ITER])
def test_probing_loads_read_whatever_is_mapped(way: str, size: int, state: int) -> None:
    text = f"r0 = *({WORDS[size]} *)(r1 + 0); exit"
    stop, _ = run_at(way, text, LoadKind.PROBE, state=state)

    assert stop.r0 == int.from_bytes(DATA[:size], "little")
    assert (stop.probe_reads, stop.findings) == (0, ())


@every_way
def test_probing_freed_memory_reads_what_is_there_and_is_a_finding(way: str) -> None:
    bare = machine_for(DATA)
    bare.machine.memory.free(bare.addr)
    image = build("r0 = *(u64 *)(r1 + 0); exit", kinds={0: LoadKind.PROBE})

    stop = finish(way, start(way, image, bare))

    assert stop.r0 == int.from_bytes(DATA[:8], "little")
    assert [(found.kind, found.pc) for found in stop.findings] == [(FaultKind.USE_AFTER_FREE, 0)]
    assert "which were freed" in stop.findings[0].detail


@every_way
def test_a_probe_that_runs_over_the_end_of_what_is_mapped_reads_zero(way: str) -> None:
    bare = machine_for(DATA)
    bare.machine.memory.set_state(bare.addr + 7, 1, 0)
    image = build("r0 = *(u64 *)(r1 + 0); exit", kinds={0: LoadKind.PROBE})

    stop = finish(way, start(way, image, bare))

    assert (stop.r0, stop.probe_reads) == (0, 1)


@every_way
def test_stores_never_probe(way: str) -> None:
    image = build("*(u64 *)(r1 + 0) = 1; exit", kinds={0: LoadKind.PROBE})

    stop = finish(way, start(way, image, machine_for(), (0,)))

    assert fault_of(stop).kind is FaultKind.NULL_DEREF


@every_way
def test_arena_accesses_that_fault_read_zero_or_drop_the_value(way: str) -> None:
    text = "*(u32 *)(r1 + 0) = 1; r0 = *(u32 *)(r1 + 0); exit"
    image = build(text, kinds={0: LoadKind.ARENA, 1: LoadKind.ARENA})

    stop = finish(way, start(way, image, machine_for(), (0x1000,)))

    assert (stop.kind, stop.r0, stop.probe_reads) == (StopKind.EXIT, 0, 2)


@every_way
def test_arena_stores_that_do_not_fault_are_done(way: str) -> None:
    stop, bare = run_at(way, "*(u16 *)(r1 + 1) = 7; r0 = 0; exit", LoadKind.ARENA)

    assert bare.machine.memory.read_int(bare.addr + 1, 2) == 7
    assert stop.probe_reads == 0


# ---- atomics ----------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize(("size", "at"), [(4, 1), (4, 2), (8, 4), (8, 1)])
def test_a_misaligned_atomic_is_a_fault(way: str, size: int, at: int) -> None:
    stop, bare = run_at(
        way, f"lock *({WORDS[size]} *)(r1 + {at}) += r2; r0 = 0; exit", LoadKind.MAP_VALUE
    )

    fault = fault_of(stop)
    assert (fault.kind, fault.addr, fault.size) == (
        FaultKind.MISALIGNED_ATOMIC,
        bare.addr + at,
        size,
    )
    assert fault.region.endswith("inside the 16-byte memory 'memory'")


@every_way
@pytest.mark.parametrize(
    ("text", "state", "kind"),
    [
        ("lock *(u64 *)(r1 + 0) += r2", READ_ONLY, FaultKind.READ_ONLY),
        ("lock *(u64 *)(r1 + 0) += r2", FREED, FaultKind.USE_AFTER_FREE),
        ("r2 = load_acquire((u64 *)(r1 + 0))", FREED, FaultKind.USE_AFTER_FREE),
        ("store_release((u64 *)(r1 + 0), r2)", READ_ONLY, FaultKind.READ_ONLY),
    ],
)
def test_atomics_are_checked_like_loads_and_stores(
    way: str, text: str, state: int, kind: FaultKind
) -> None:
    stop, _ = run_at(way, f"{text}; r0 = 0; exit", LoadKind.MAP_VALUE, state=state)

    assert fault_of(stop).kind is kind


@every_way
def test_an_acquire_of_read_only_memory_is_allowed(way: str) -> None:
    text = "r0 = load_acquire((u32 *)(r1 + 4)); exit"
    stop, _ = run_at(way, text, LoadKind.MAP_VALUE, state=READ_ONLY)

    assert stop.r0 == int.from_bytes(DATA[4:8], "little")


@every_way
@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("lock *(u64 *)(r10 - 8) += r2", 1),
        ("r2 = load_acquire((u64 *)(r10 - 8))", 1),
        ("store_release((u64 *)(r10 - 8), r2)", 0),
    ],
)
def test_atomics_on_unwritten_stack(way: str, text: str, findings: int) -> None:
    image = build(f"{text}; r0 = 0; exit")

    stop = finish(way, start(way, image, machine_for(DATA)))

    assert stop.kind is StopKind.EXIT
    assert len(stop.findings) == findings


# ---- the texts --------------------------------------------------------------------------


def test_every_kind_has_its_states() -> None:
    assert set(LOAD_STATES) == set(LoadKind)


@pytest.mark.parametrize("size", [4, 8])
def test_states_show_as_different_numbers(size: int) -> None:
    states = (VALID, READ_ONLY, UNINIT, REDZONE, FREED, KERNEL, ITER, 0)
    words = [float(state_word(state, size)) for state in states]

    assert len(set(words)) == len(states)
    assert all(word == word for word in words)


@pytest.mark.parametrize(
    ("base", "offset", "size", "want"),
    [
        (10, -8, 8, True),
        (10, -512, 8, True),
        (10, -520, 8, False),
        (10, -4, 8, False),
        (10, 0, 1, False),
        (10, -1, 1, True),
        (10, -6, 4, False),
        (9, -8, 8, False),
    ],
)
def test_only_aligned_words_of_the_own_frame_need_no_look(
    base: int, offset: int, size: int, want: bool
) -> None:
    assert in_frame(Reg(base), offset, size) is want


def test_a_region_kind_in_words_is_part_of_a_fault() -> None:
    bare = machine_for(DATA)
    region = bare.machine.memory.allocate(8, RegionKind.VALUE, "counts")
    run = start("cold", build("r0 = *(u64 *)(r1 + 8); exit"), bare, (region.addr,))

    fault = fault_of(run.resume())

    assert fault.region == "0 bytes behind the 8-byte map value 'counts'"
