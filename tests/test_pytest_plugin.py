"""The pytest plugin, driven through pytest itself."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from bpfemu.cli import run_cli
from bpfemu.session import make_catalog

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parent.parent
CENSUS = ROOT / "programs/iters/vma_census.bpf.o"
NUM = ROOT / "programs/iters/num_basics.bpf.o"


@pytest.fixture(autouse=True, scope="module")
def _everything() -> None:
    """Import all of it before pytester looks: it forgets modules that come after.

    What is kept for the whole process (the catalog) would still speak of them.
    """
    for found in pkgutil.walk_packages([str(ROOT / "bpfemu")], "bpfemu."):
        if found.name not in ("bpfemu.__main__", "bpfemu.pytest_plugin"):
            import_module(found.name)
    make_catalog().complete()


@pytest.fixture(autouse=True)
def _plugin(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin is there whether or not the package is installed in this environment."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p no:cacheprovider")
    pytester.syspathinsert(ROOT)
    pytester.makeconftest(
        """
        def pytest_configure(config): ...
        try:
            from importlib.metadata import entry_points
            there = any(e.name == "bpfemu" for e in entry_points(group="pytest11"))
        except Exception:
            there = False
        if not there:
            pytest_plugins = ["bpfemu.pytest_plugin"]
        """
    )


def test_the_bpf_fixture_opens_objects_beside_the_test_and_runs_them(
    pytester: pytest.Pytester,
) -> None:
    (pytester.path / "census.bpf.o").write_bytes(CENSUS.read_bytes())
    pytester.makepyfile(
        """
        def test_census(bpf):
            skel = bpf.open("census.bpf.o")
            outcome = skel.progs.vma_census.run()
            assert outcome.ok
            assert outcome == skel.bss.vmas
        """
    )

    result = pytester.runpytest(
        "test_the_bpf_fixture_opens_objects_beside_the_test_and_runs_them.py"
    )

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["bpfemu: *, kernel 6.12.0, vmlinux BTF own, engine interp, seed 0"]
    )


def test_a_failing_test_shows_printk_the_comparison_and_a_replay_line(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        f"""
        def test_wrong(bpf):
            assert bpf.open({str(CENSUS)!r}).progs.vma_census.run() == -12
        """
    )

    result = pytester.runpytest("--bpf-seed=7", "--bpf-kernel=6.18.44")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*== -12 (-ENOMEM)*",
            "*Captured bpf printk*",
            "*BPF replay*",
            "*vma_census --kernel 6.18.44 --seed 7 --context task*",
        ]
    )


def test_the_replay_line_says_what_the_test_has_set(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        def test_wrong(bpf):
            skel = bpf.open({str(CENSUS)!r}, cpus=4, budget=9000, kfuncs=("kfuncs",), seed=1)
            skel.rodata.limit = 3
            assert skel.progs.vma_census.run() == 7
        """
    )

    result = pytester.runpytest()

    (line,) = [line for line in result.outlines if line.startswith("bpfemu run ")]
    words = line.split()
    tail = "--cpus 4 --budget 9000 --kfuncs kfuncs --set limit=3"
    assert words[-8:] == tail.split()
    assert run_cli(words[1:]) == 0


def test_markers_choose_kernel_and_context(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.bpf_kernel("6.18.0")
        def test_kernel(bpf):
            assert bpf.open({str(CENSUS)!r}).progs.vma_census.run().profile == "6.18.0"

        @pytest.mark.bpf_context("softirq")
        def test_context(bpf):
            skel = bpf.open({str(NUM)!r})
            prog = next(p for p in skel.progs if not p.section.startswith("syscall"))
            assert prog.run().context == "softirq"
        """
    )

    pytester.runpytest("--strict-markers").assert_outcomes(passed=2)


def test_ini_keys_set_what_the_options_set(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nbpf_kernel = 6.7\nbpf_seed = 5\n")
    pytester.makepyfile(
        f"""
        def test_profile(bpf):
            outcome = bpf.open({str(CENSUS)!r}).progs.vma_census.run()
            assert (outcome.profile, outcome.seed) == ("6.7", 5)
        """
    )

    pytester.runpytest().assert_outcomes(passed=1)


def test_tagged_objects_are_collected_as_tests(pytester: pytest.Pytester) -> None:
    (pytester.path / "num.bpf.o").write_bytes(NUM.read_bytes())

    result = pytester.runpytest("num.bpf.o", "-v")

    outcomes = result.parseoutcomes()
    assert outcomes["passed"] >= 3
    assert "failed" not in outcomes


def test_a_broken_object_is_a_collection_error_in_words(pytester: pytest.Pytester) -> None:
    (pytester.path / "broken.bpf.o").write_bytes(CENSUS.read_bytes()[:200])

    result = pytester.runpytest("broken.bpf.o")

    assert result.ret != 0
    assert "Traceback" not in result.stdout.str()
    result.stdout.fnmatch_lines(["*broken.bpf.o*"])


def test_a_senseless_seed_is_an_error_in_words(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(f"def test_x(bpf): bpf.open({str(CENSUS)!r})")

    result = pytester.runpytest("--bpf-seed=often")

    result.stdout.fnmatch_lines(["*--bpf-seed 'often' is not a number from 0 up*"])


def test_loading_the_plugin_imports_nothing_else_of_ours() -> None:
    code = (
        "import sys, pytest, bpfemu.pytest_plugin;"
        "print(sorted(m for m in sys.modules if m.startswith(('bpfemu', 'kfuncs', 'elftools'))))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert out.stdout.strip() == "['bpfemu', 'bpfemu.pytest_plugin']", out.stderr


def test_a_failing_test_shows_what_was_made_to_fail(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        def test_wrong(bpf):
            skel = bpf.open({str(CENSUS)!r})
            skel.faults.fail_nth(1)
            assert skel.progs.vma_census.run() == 9
        """
    )

    result = pytester.runpytest()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*Injected bpf faults*", "FAULT_INJECTION: *fail_bpf_mem_alloc/128 call 1 at *"]
    )
