"""``bpfemu run --fault``, and faults from a skeleton."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import bpfemu
from bpfemu.cli import run_cli
from bpfemu.errors import InputError
from bpfemu.kernel.fault_attr import FaultAttr

ROOT = Path(__file__).resolve().parent.parent.parent
CENSUS = str(ROOT / "programs" / "iters" / "vma_census.bpf.o")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def call(*args: str) -> tuple[int, str, str]:
        status = run_cli(list(args))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_a_fault_is_injected_and_shown(cli) -> None:  # type: ignore[no-untyped-def]
    status, out, err = cli("run", CENSUS, "--fault", "fail_bpf_mem_alloc=1,100,0,-1")

    assert (status, err) == (0, "")
    assert "\niterators\n  task_vma: new -12 (-ENOMEM), 0 elements" in out
    assert "\ninjected\n  FAULT_INJECTION: forcing a failure. name fail_bpf_mem_alloc, " in out
    assert "interval 1, probability 100, space 0, times -1" in out


def test_several_faults_and_named_attributes_as_json(cli) -> None:  # type: ignore[no-untyped-def]
    words = ["fail_lock/mmap_lock=fail_nth=9", "fail_map_update/by_perm=calls=1+2,retval=-E2BIG"]
    options = [part for word in words for part in ("--fault", word)]
    status, out, _ = cli("run", CENSUS, "--json", *options)

    data = json.loads(out)
    assert status == 0
    assert [line.split("; ")[1].split(" at ")[0] for line in data["injected"]] == [
        "fail_map_update/by_perm call 1",
        "fail_map_update/by_perm call 2",
    ]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("fail_bpf_mem_alloc", "--fault 'fail_bpf_mem_alloc' must be NAME=VALUE"),
        ("fail_disk=1,100,0,-1", "no fault point 'fail_disk'"),
        ("failslab=1,100", "must be <interval>,<probability>,<space>,<times>"),
        ("fail_kfunc/bpf_iter_num_destroy=1,100,0,1", "returns nothing, so it cannot fail"),
    ],
)
def test_a_wrong_fault_is_named_and_the_status_is_2(cli, word, said) -> None:  # type: ignore[no-untyped-def]
    status, _, err = cli("run", CENSUS, "--fault", word)

    assert status == 2
    assert said in err


def test_a_refused_btf_is_what_load_fails_with(cli) -> None:  # type: ignore[no-untyped-def]
    status, _, err = cli("run", CENSUS, "--fault", "fail_btf_load=1,100,0,1")

    assert status == 2
    assert "the kernel refused the BTF of the object: -12 (-ENOMEM)" in err


def test_a_refused_btf_can_be_loaded_again() -> None:
    faults = {"fail_btf_load": FaultAttr(100, retval=-22)}
    with bpfemu.open(CENSUS, faults=faults) as skel:
        with pytest.raises(InputError) as caught:
            skel.load()

        assert caught.value.errno == 22
        assert skel.load().loaded


def test_an_object_without_a_failing_load_is_not_bothered() -> None:
    with bpfemu.open(CENSUS, faults={"fail_btf_load": FaultAttr()}) as skel:
        assert skel.load().loaded


def test_faults_of_a_skeleton_can_be_set_before_load_and_after_a_run() -> None:
    with bpfemu.open(CENSUS) as skel:
        skel.faults.fail_nth(1)
        skel.rodata.limit = 3  # still open: nothing has been loaded

        failed, good = skel.progs.vma_census.run(), skel.progs.vma_census.run()

        assert (failed.value, good.value) == (0, 3)
        assert [met.point for met in skel.faults.met] == ["fail_bpf_mem_alloc/128"]
        assert len(failed.injected) == 1 and good.injected == ()
        assert skel.faults is skel.kernel.faults


def test_a_run_without_faults_imports_nothing_of_them() -> None:
    code = (
        "import sys, bpfemu\n"
        f"bpfemu.open({CENSUS!r}).progs.vma_census.run()\n"
        "print([name for name in sys.modules if name.startswith('bpfemu.kernel.fault')])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert run.stdout == "[]\n", run.stderr


def test_a_loop_that_has_run_hot_fails_all_the_same() -> None:
    """What an engine made of the loop in the first run serves the second, too."""
    with bpfemu.open(ROOT / "programs" / "bench" / "loops.bpf.o") as skel:
        skel.progs.num_loop.autoload = True
        skel.rodata.rounds = 3000
        whole = skel.progs.num_loop.run().iterators[0].elements
        skel.faults.fail_nth(101, "fail_kfunc/bpf_iter_num_next")
        cut = skel.progs.num_loop.run().iterators[0].elements
        skel.faults.clear()

        assert (whole, cut) == (3000, 100)
        assert skel.progs.num_loop.run().iterators[0].elements == 3000
