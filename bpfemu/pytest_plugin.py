"""The pytest plugin: a ``bpf`` fixture, ``*.bpf.o`` as tests, failures that explain themselves.

It is loaded in every pytest run of its environment, so it imports nothing of ours until it is
used.

Options and ini keys: ``--bpf-kernel``/``bpf_kernel``, ``--bpf-btf``/``bpf_btf``,
``--bpf-engine``/``bpf_engine``, ``--bpf-seed``/``bpf_seed``.  Markers: ``bpf_kernel(name)`` and
``bpf_context(name)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bpfemu.outcome import Outcome
    from bpfemu.skeleton import ProgView, Skeleton
    from bpfemu.testing import Expectation

__all__ = ["Bpf", "BpfFile", "BpfItem", "bpf"]

OPTIONS = {
    "kernel": ("6.12.0", "kernel profile that programs run on"),
    "btf": ("", "file with the kernel's BTF, instead of bpfemu's own"),
    "engine": ("interp", "engine that runs programs"),
    "seed": ("0", "seed of time, randomness and addresses"),
}
OUTCOMES = pytest.StashKey["list[tuple[str, Outcome]]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """--bpf-* options, and the same words as ini keys."""
    group = parser.getgroup("bpfemu")
    for name, (default, text) in OPTIONS.items():
        group.addoption(f"--bpf-{name}", default=None, help=f"{text} (default: {default or 'own'})")
        parser.addini(f"bpf_{name}", text, default=default)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", "bpf_kernel(name): run on this kernel profile")
    config.addinivalue_line("markers", "bpf_context(name): run in this context (nmi, hardirq, …)")


def pytest_report_header(config: pytest.Config) -> str:
    """One line: version, kernel, BTF, engine, seed."""
    from bpfemu import __version__

    own = _option(config, "btf") or "own"
    return (
        f"bpfemu: {__version__}, kernel {_option(config, 'kernel')}, vmlinux BTF {own}, "
        f"engine {_option(config, 'engine')}, seed {_option(config, 'seed')}"
    )


def _option(config: pytest.Config, name: str) -> str:
    value = config.getoption(f"--bpf-{name}")
    return str(value if value is not None else config.getini(f"bpf_{name}"))


def _settings(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """What ``open`` is told for one test: options, then its markers."""
    from bpfemu.errors import InputError

    seed = _option(config, "seed")
    if not seed.isdigit():
        raise InputError(f"--bpf-seed {seed!r} is not a number from 0 up")
    settings: dict[str, Any] = {
        "kernel": _option(config, "kernel"),
        "engine": _option(config, "engine"),
        "seed": int(seed),
        "btf": _option(config, "btf") or None,
    }
    marker = item.get_closest_marker("bpf_kernel")
    if marker is not None and marker.args:
        settings["kernel"] = marker.args[0]
    return settings


class Bpf:
    """What the ``bpf`` fixture is: opens objects; every run is remembered for the report."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        item.stash[OUTCOMES] = []

    def open(self, path: str | Path, **options: Any) -> Skeleton:
        """Open an object; a relative path is looked for beside the test file first.

        Keywords are those of ``bpfemu.open`` and win over command line, ini file and markers.
        """
        from bpfemu.skeleton import open_object

        beside = self._item.path.parent / path
        found = beside if beside.exists() else Path(path)
        skel = open_object(found, **{**_settings(self._item.config, self._item), **options})
        marker = self._item.get_closest_marker("bpf_context")
        for prog in skel.progs:
            context = marker.args[0] if marker and marker.args else None
            self._watch(skel, prog, str(found), context)
        return skel

    def _watch(self, skel: Skeleton, prog: ProgView, path: str, context: str | None) -> None:
        def done(outcome: Outcome) -> None:
            self._item.stash[OUTCOMES].append((_replay(skel, path, outcome), outcome))

        prog.on_outcome = done
        if context is not None:
            prog.default_context = context


@pytest.fixture
def bpf(request: pytest.FixtureRequest) -> Bpf:
    """Open BPF objects and run their programs: ``bpf.open("x.bpf.o").progs.p.run()``."""
    item = request.node
    assert isinstance(item, pytest.Item)
    return Bpf(item)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """``-12 (-ENOMEM) == 0`` for outcomes."""
    if op not in ("==", "!=") or "Outcome" not in (type(left).__name__, type(right).__name__):
        return None
    from bpfemu.outcome import Outcome, errno_name

    def text(value: object) -> str:
        if isinstance(value, Outcome):
            return f"fault {value.fault.kind.name}" if value.fault else errno_name(value.value)
        return errno_name(value) if isinstance(value, int) else repr(value)

    lines = [f"{text(left)} {op} {text(right)}"]
    lines += [str(side) for side in (left, right) if isinstance(side, Outcome)]
    return lines


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    """Add what the programs printed, their last instructions, faults and a replay line."""
    result = yield
    report = result.get_result()  # type: ignore[attr-defined]
    if report.when == "call" and report.failed:
        for replay, outcome in item.stash.get(OUTCOMES, []):
            report.sections += _sections(replay, outcome)


def _replay(skel: Skeleton, path: str, outcome: Outcome) -> str:
    """The command that does the same run again, as far as words can say it."""
    from shlex import join

    from bpfemu.session import Options

    usual, given = Options(), skel.session.options
    words = ["bpfemu", "run", path, outcome.program, "--kernel", outcome.profile]
    words += ["--seed", str(outcome.seed), "--context", outcome.context]
    for name in ("btf", "engine", "cpus", "budget"):
        value = getattr(given, name)
        if value != getattr(usual, name):
            words += [f"--{name}", str(value)]
    for package in given.kfuncs:
        words += ["--kfuncs", package]
    for name, value in given.kconfig.items():
        words += ["--kconfig", f"{name}={value}"]
    for name, value in _set_before_load(skel):
        words += ["--set", f"{name}={value}"]
    return join(words) + ("  # in the world that the test gives" if given.world else "")


def _set_before_load(skel: Skeleton) -> Iterator[tuple[str, object]]:
    """Global variables that did not begin with what the object says, where words can say it."""
    for section, view in zip(skel.object.data, skel.data_sections.values(), strict=True):
        if bytes(view.image) != section.data:
            for name in view:
                value = view._initial(name)
                if value != view._initial(name, section.data) and isinstance(value, int | str):
                    yield name, int(value) if isinstance(value, bool) else value


def _sections(replay: str, outcome: Outcome) -> list[tuple[str, str]]:
    found = []
    if outcome.printk:
        found.append(("Captured bpf printk", "\n".join(outcome.printk)))
    if outcome.trail:
        title = f"Captured bpf trace (last {len(outcome.trail)} insns)"
        found.append((title, "\n".join(outcome.trail)))
    if outcome.injected:
        found.append(("Injected bpf faults", "\n".join(outcome.injected)))
    if outcome.report:
        found.append(("BPF fault report", outcome.report))
    found.append(("BPF replay", f"{outcome}\n{replay}"))
    return found


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """``*.bpf.o`` with test tags become tests."""
    if file_path.name.endswith(".bpf.o"):
        collector: BpfFile = BpfFile.from_parent(parent, path=file_path)
        return collector
    return None


class BpfFile(pytest.File):
    """An object file whose tagged programs are tests."""

    def collect(self) -> Iterable[BpfItem]:
        """One item a program that carries test tags."""
        from bpfemu.errors import BpfemuError
        from bpfemu.session import read
        from bpfemu.testing import read_expectation

        try:
            obj = read(self.path)
            programs = [(f.name, read_expectation(f.tags)) for f in obj.functions]
        except BpfemuError as error:
            raise self.CollectError(str(error)) from None
        for name, expected in programs:
            if expected.tagged and not expected.auxiliary:
                item: BpfItem = BpfItem.from_parent(self, name=name)
                item.expected = expected
                yield item


class BpfItem(pytest.Item):
    """One tagged program."""

    expected: Expectation

    def runtest(self) -> None:
        """Run the program and judge it by its tags."""
        from bpfemu.testing import judge

        if self.expected.skip:
            pytest.skip(self.expected.skip)
        wanted = self.expected.kernel
        skel = Bpf(self).open(self.path, **({"kernel": wanted} if wanted else {}))
        prog = skel.progs[self.name]
        for other in skel.progs:
            other.autoload = other is prog
        verdict = judge(self.expected, prog.run(budget=self.expected.budget))
        if not verdict.passed:
            raise BpfFailure(verdict.why)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """A failed verdict or a bad file in words, anything else as pytest shows it."""
        from bpfemu.errors import BpfemuError

        if isinstance(excinfo.value, BpfFailure | BpfemuError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the test is: the object's file."""
        return self.path, None, self.expected.description or self.name


class BpfFailure(Exception):
    """A program did not do what its tags say."""
