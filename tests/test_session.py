"""The straight line: how a session is set up, and that a run can be had again from its seed."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bpfemu.btf import Btf
from bpfemu.elf import read_object
from bpfemu.errors import BindError, BodyError, InputError
from bpfemu.kernel.config import RunOptions
from bpfemu.machine.stop import StopKind
from bpfemu.object import BpfObject
from bpfemu.outcome import Outcome
from bpfemu.session import Options, Session, kernel_btf, make_catalog, read
from bpfemu.skeleton import Skeleton
from bpfemu.testing import read_expectation

ROOT = Path(__file__).parents[1]
PROGRAMS = ROOT / "programs"
ARENA_SIZE = 16 << 20  # bytes
NUM = "iters/num_basics.bpf.o"


@cache
def program(name: str) -> BpfObject:
    """One of the objects in programs/."""
    return read_object(PROGRAMS / name)


def session(obj: BpfObject | None = None, **options: object) -> Session:
    """A session with a small arena."""
    return Session(obj or program(NUM), Options(arena_size=ARENA_SIZE, **options))  # type: ignore[arg-type]


# ---- setting up -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [-1, 1.5, "7", None])
def test_a_seed_is_a_number_from_0_up(seed: object) -> None:
    with pytest.raises(InputError, match=r"seed is .*, must be a number from 0 up"):
        session(seed=seed)


def test_an_unknown_profile_package_or_engine_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"no kernel profile '4\.19'; there are"):
        session(kernel="4.19")
    with pytest.raises(InputError, match="no package 'no_such_package' with kfuncs"):
        session(kfuncs=("no_such_package",))
    made = session(engine="steam")
    made.load(["num_sum"])
    with pytest.raises(InputError, match="steam"):
        made.run("num_sum", RunOptions())


def test_an_object_that_is_not_there_is_named_with_its_errno(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.bpf\.o: no such file") as caught:
        read(tmp_path / "nowhere.bpf.o")
    assert caught.value.errno == 2


def test_the_kernels_types_come_from_the_file_that_is_given(tmp_path: Path) -> None:
    own = kernel_btf(Options(), make_catalog(), session().profile)
    path = tmp_path / "kernel.btf"
    path.write_bytes(own.raw)

    given = session(btf=path)

    assert given.btf is not own and bytes(given.btf.raw) == bytes(own.raw)
    assert given.btf.find("task_struct") == own.find("task_struct")
    given.load(["num_sum"])
    assert given.run("num_sum", RunOptions()).ok


def test_sessions_without_a_file_share_the_kernels_types() -> None:
    assert session().btf is session().btf
    assert isinstance(session().btf, Btf)


# ---- loading and running ----------------------------------------------------------------


def test_an_object_is_loaded_once() -> None:
    made = session()
    made.load(["num_sum"])

    with pytest.raises(InputError, match="num_basics: load can't be attempted twice") as caught:
        made.load(["num_sum"])
    assert caught.value.errno == 22


@pytest.mark.parametrize("way", ["run", "start"])
def test_only_what_is_loaded_runs(way: str) -> None:
    made = session()
    with pytest.raises(InputError, match="program 'num_sum' is not loaded"):
        getattr(made, way)("num_sum", RunOptions())
    made.load(["num_sum"])
    with pytest.raises(InputError, match="program 'num_break' is not loaded"):
        getattr(made, way)("num_break", RunOptions())


def test_a_program_is_prepared_once_and_runs_often() -> None:
    made = session()
    made.load(["num_sum"])

    first, second = (made.run("num_sum", RunOptions()) for _ in range(2))

    assert made.code("num_sum") is made.code("num_sum")
    assert (first.r0, first.insns) == (second.r0, second.insns)


def test_a_run_can_be_stepped_to_the_same_end() -> None:
    made = session()
    made.load(["num_sum"])
    whole = made.run("num_sum", RunOptions())

    run = made.start("num_sum", RunOptions())
    stop = run.resume()

    assert made.kernel is not None
    assert made.kernel.close(stop) == whole.r0
    assert (stop.kind, stop.insns) == (StopKind.EXIT, whole.insns)


BROKEN = """
from bpfemu.proto.decl import int_
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT, KF_RET_NULL
from bpfemu.proto.marks import kfunc
from bpfemu.proto.types import NULL, Ptr, s32
from kfuncs.iter_num import bpf_iter_num

@kfunc(KF_ITER_NEW)
def bpf_iter_num_new(it: Ptr[bpf_iter_num], start: int_, end: int_) -> int_:
    return int_(1 // (end - 10))

@kfunc(KF_ITER_NEXT | KF_RET_NULL)
def bpf_iter_num_next(it: Ptr[bpf_iter_num]) -> Ptr[int_]:
    return NULL

@kfunc(KF_ITER_DESTROY)
def bpf_iter_num_destroy(it: Ptr[bpf_iter_num]) -> None:
    pass
"""


def test_a_body_that_raises_is_its_authors_error_and_the_kernel_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """num_sum counts to 10, where this ``new`` divides by zero; num_negative does not."""
    (tmp_path / "broken_num.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = session(kfuncs=("broken_num",))
    made.load(["num_sum", "num_negative"])

    with pytest.raises(BodyError, match="bpf_iter_num_new: its body raised ZeroDivisionError"):
        made.run("num_sum", RunOptions())

    after = made.run("num_negative", RunOptions())
    assert after.stop.kind is StopKind.EXIT and after.leaks == ()


# ---- seeds ------------------------------------------------------------------------------

ADDRESS = re.compile(r"(0x|\b)[0-9a-f]{8,}\b|\bseed \d+|--seed \d+")


def faceless(value: Any) -> Any:
    """The same with the seed and whatever looks like an address (8 hex digits) blotted out."""
    if isinstance(value, str):
        return ADDRESS.sub("ADDR", value)
    if isinstance(value, tuple | list):
        return [faceless(one) for one in value]
    if isinstance(value, int) and value >> 40:
        return "ADDR"
    fields = getattr(type(value), "__dataclass_fields__", None)
    if fields is None:
        return value
    blank = {"addr", "regs", "seed"}
    return {name: faceless(getattr(value, name)) for name in fields if name not in blank}


def after_run(obj: BpfObject, name: str, seed: int) -> tuple[Outcome, dict[str, Any]]:
    """One program on a fresh kernel; its outcome, its maps in no order, and its globals."""
    expected = read_expectation(next(f.tags for f in obj.functions if f.name == name))
    kernel = expected.kernel or "6.12.0"
    skel = Skeleton(obj, Options(arena_size=ARENA_SIZE, seed=seed, kernel=kernel))
    for prog in skel.progs:
        prog.autoload = prog.name == name
    skel.load()
    outcome = skel.progs[name].run(budget=expected.budget or 200_000)
    left: dict[str, Any] = {}
    for view in skel.maps:
        left[view.name] = sorted((repr(key), repr(value)) for key, value in view.items())
    for name, data in skel.data_sections.items():
        left[name] = {variable: getattr(data, variable) for variable in data}
    return outcome, left


SEEDED = sorted(
    str(path.relative_to(PROGRAMS))
    for folder in ("atomics", "faults", "helpers", "iters", "maps", "packets", "subprogs")
    for path in (PROGRAMS / folder).glob("*.bpf.o")
    if not re.search(r"\.v\d\.", path.name)
)


RANDOM = {"register_after_call": "its report shows r0, which bpf_get_prandom_u32 has set"}


@pytest.mark.parametrize("name", SEEDED)
def test_the_seed_decides_addresses_and_nothing_else(name: str) -> None:
    """But for one, no program here ends with a random number, a time or an address."""
    obj = program(name)
    for function in obj.functions:
        if function.section == ".text" or function.name in RANDOM:
            continue
        one, other = (ended(obj, function.name, seed) for seed in (0, 99))
        assert one == other, function.name


def ended(obj: BpfObject, name: str, seed: int) -> tuple[Any, dict[str, Any]]:
    """Outcome and what is left, without addresses; or why it cannot be loaded."""
    try:
        outcome, left = after_run(obj, name, seed)
    except BindError as error:
        return str(error), {}
    return faceless(outcome), left


@pytest.mark.parametrize(
    "name", ["iters/vma_census.bpf.o", "faults/memory.bpf.o", "maps/hash.bpf.o"]
)
@pytest.mark.parametrize("seed", [0, 12345])
def test_the_same_seed_gives_the_same_outcome_to_the_last_address(name: str, seed: int) -> None:
    obj = program(name)
    for function in obj.functions:
        if function.section != ".text":
            assert after_run(obj, function.name, seed) == after_run(obj, function.name, seed)


def test_seeds_do_decide_addresses_time_and_randomness() -> None:
    kernels = []
    for seed in (0, 0, 1):
        made = session(seed=seed)
        made.load(["num_sum"])
        assert made.kernel is not None
        kernels.append(made.kernel)

    first, same, other = (
        (kernel.memory.base, kernel.clock.ktime_ns(), kernel.random.u32()) for kernel in kernels
    )
    assert first == same
    assert all(one != two for one, two in zip(first, other, strict=True))
