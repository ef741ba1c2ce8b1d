"""What people give beside objects: kernel types, maps and smaps texts, contexts and packets."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpfemu.btf import Btf, BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.elf import read_object
from bpfemu.errors import InputError
from bpfemu.object import BpfObject
from bpfemu.outcome import Outcome
from bpfemu.proto.profile import PROFILES
from bpfemu.record import replace
from bpfemu.session import Options, kernel_btf, make_catalog
from bpfemu.skeleton import Skeleton
from bpfemu.world.maps import read_maps, read_smaps
from bpfemu.world.spec import TaskSpec, World
from tests.builders.mutate import mutants

ROOT = Path(__file__).parents[2]
MAPS = (ROOT / "programs/data/maps.txt").read_text()
SMAPS = """\
00400000-00402000 r-xp 00002000 08:01 131                                /usr/bin/cat
Size:                  8 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   8 kB
THPeligible:           0
VmFlags: rd ex mr mw me sd
7ffc0000-7ffe1000 rw-p 00000000 00:00 0                                  [stack]
Size:                132 kB
VmFlags: rd wr mr mw me gd ac
"""
ARENA_SIZE = 16 << 20  # bytes
BUDGET = 3000  # instructions

bounded = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@cache
def program(name: str) -> BpfObject:
    """One of the objects in programs/."""
    return read_object(ROOT / "programs" / name)


def run(obj: BpfObject, name: str, **options: object) -> Outcome:
    """Load one program alone and run it."""
    skel = Skeleton(obj, Options(arena_size=ARENA_SIZE, **options))
    for prog in skel.progs:
        prog.autoload = prog.name == name
    skel.load()
    return skel.progs[name].run(budget=BUDGET)


# ---- the kernel's types (--btf) ---------------------------------------------------------

WALKERS = (
    ("iters/vma_census.bpf.o", "vma_census"),
    ("iters/task.bpf.o", "task_processes"),
    ("iters/task_vma.bpf.o", "vma_in_order"),
    ("helpers/current.bpf.o", "current"),
    ("maps/hash.bpf.o", "come_and_go"),
)
PLACED = (
    *("task_struct", "mm_struct", "vm_area_struct", "file", "path", "dentry", "inode", "cred"),
    *("css_set", "cgroup", "list_head", "callback_head", "signal_struct", "pid", "qstr"),
    *("super_block", "vfsmount", "refcount_struct", "rw_semaphore", "maple_tree", "bpf_map"),
)


@cache
def own_btf() -> Btf:
    """The types of the default kernel."""
    return kernel_btf(Options(), make_catalog(), PROFILES["6.12.0"])


@cache
def walkers() -> list[tuple[BpfObject, str]]:
    """Programs that make the kernel place its objects."""
    found = []
    for path, name in WALKERS:
        obj = program(path)
        names = [f.name for f in obj.functions if f.section != ".text"]
        found.append((obj, name if name in names else names[0]))
    return found


@st.composite
def reshaped(draw: st.DrawFn) -> bytes:
    """The kernel's types, some struct members moved, dropped, renamed or of another type."""
    btf = own_btf()
    wanted = draw(st.sets(st.sampled_from(PLACED), min_size=1, max_size=3))
    builder = BtfBuilder()
    for _, kind in btf.types():
        if isinstance(kind, k.Struct | k.Union) and kind.name in wanted and kind.members:
            kind = _reshape(draw, btf, kind)
        builder.add(kind)
    return builder.encode()


def _reshape(draw: st.DrawFn, btf: Btf, kind: k.Struct | k.Union) -> k.Struct | k.Union:
    at = draw(st.integers(0, len(kind.members) - 1))
    members, one = list(kind.members), kind.members[at]
    bits = 8 * kind.size
    match draw(st.sampled_from(("drop", "move", "type", "name", "size"))):
        case "drop":
            del members[at]
        case "move":
            to = (0, 3, 8, bits - 8, bits, 2 * one.bit_offset, 0xFF_FFFF)
            members[at] = replace(one, bit_offset=draw(st.sampled_from(to)) & 0xFF_FFFF)
        case "type":
            members[at] = replace(one, type=draw(st.integers(0, btf.type_count - 1)))
        case "name":
            members[at] = replace(one, name="elsewhere")
        case "size":
            sizes = (0, 1, max(kind.size - 8, 0), 2 * kind.size, 1 << 24, 0x7FFF_FFFF, 0xFFFF_FFFF)
            return replace(kind, size=draw(st.sampled_from(sizes)))
    return replace(kind, members=tuple(members))


def check_btf(data: bytes, path: Path, which: int) -> None:
    """Boot on these types and walk the kernel's objects."""
    path.write_bytes(data)
    world = World(tasks=(TaskSpec(pid=1000, comm="task", vmas=read_maps(MAPS)[:4]),), current=1000)
    obj, name = walkers()[which]
    try:
        outcome = run(obj, name, btf=path, world=world)
    except InputError as error:
        assert str(error)
    else:
        assert outcome.insns <= BUDGET and str(outcome)


@given(reshaped(), st.integers(0, len(WALKERS) - 1))
@settings(bounded, max_examples=60)
def test_kernel_types_of_any_shape_end_in_an_outcome_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, which: int
) -> None:
    check_btf(data, tmp_path_factory.getbasetemp() / "reshaped.btf", which)


@given(st.data())
@settings(bounded, max_examples=60)
def test_damaged_kernel_types_end_in_an_outcome_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    blob = data.draw(mutants([own_btf().raw]))
    check_btf(blob, tmp_path_factory.getbasetemp() / "damaged.btf", data.draw(st.integers(0, 4)))


@given(st.binary(max_size=64))
@settings(bounded, max_examples=40)
def test_any_file_is_kernel_types_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.btf"
    path.write_bytes(data)

    with pytest.raises(InputError, match=r"garbage\.btf"):
        Skeleton(program("maps/hash.bpf.o"), Options(btf=path))


# ---- maps and smaps ---------------------------------------------------------------------


@given(mutants([MAPS.encode(), SMAPS.encode()]), st.sampled_from((read_maps, read_smaps)))
@settings(bounded, max_examples=200)
def test_any_maps_text_is_walked_or_refused(data: bytes, read) -> None:  # type: ignore[no-untyped-def]
    """What the reader takes, the kernel can place and a program can walk to its end."""
    try:
        vmas = read(data.decode("utf-8", "surrogateescape"), name="given")
        world = World(tasks=(TaskSpec(pid=1000, comm="task", vmas=vmas),), current=1000)
    except InputError as error:
        assert str(error)
        return
    outcome = run(program("iters/vma_census.bpf.o"), "vma_census", world=world)
    assert outcome.fault is None and outcome.leaks == ()


# ---- contexts and packets ---------------------------------------------------------------


CTX = st.none() | st.binary(max_size=64) | st.sampled_from((24, 32, 192)).map(bytes)


@given(CTX, st.none() | st.binary(max_size=96), st.data())
@settings(bounded, max_examples=100)
def test_any_context_and_packet_is_run_or_refused(
    ctx: bytes | None, packet: bytes | None, data: st.DataObject
) -> None:
    obj = program("packets/parse.bpf.o")
    names = [f.name for f in obj.functions if f.section != ".text"]
    skel = Skeleton(obj, Options(arena_size=ARENA_SIZE))
    skel.load()
    try:
        name = data.draw(st.sampled_from(names))
        outcome = skel.progs[name].run(budget=BUDGET, ctx=ctx, data_in=packet)
    except InputError as error:
        assert str(error)
    else:
        assert outcome.insns <= BUDGET
