"""Definitions found by reading sources, imported when they are asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bpfemu.errors import DeclarationError
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.profile import PROFILES
from bpfemu.proto.scan import scan

ROOT = Path(__file__).resolve().parents[2]
OWN = ("bpfemu.kernel.helpers", "bpfemu.kernel.maps", "bpfemu.kernel.progs", "kfuncs")

GOOD = """
from bpfemu.proto.marks import helper, kfunc
from bpfemu.proto.types import s32, u64

@kfunc(
    0,
    since=(6, 9),
)
def bpf_answer() -> s32:
    return 42


@helper(900)
def bpf_other(a: u64) -> u64:
    return a
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    name = f"scanned_{abs(hash(request.node.name))}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str) -> str:
        (tmp_path / name / "part.py").write_text(text)
        return name

    return write


def test_a_scan_and_a_discovery_of_the_package_offer_the_same() -> None:
    scanned, found = Catalog.scan(*OWN), Catalog.discover(*OWN)

    assert sorted(scanned.kfuncs) == sorted(found.kfuncs)
    assert sorted(scanned.helpers) == sorted(found.helpers)
    assert sorted(scanned.map_types) == sorted(found.map_types)
    assert sorted(scanned.prog_types) == sorted(found.prog_types)
    assert sorted(scanned.complete().structs) == sorted(found.structs)
    for profile in PROFILES.values():
        assert list(scanned.select(profile)) == list(found.select(profile))


def test_only_what_is_asked_for_is_imported() -> None:
    code = (
        "import sys; from bpfemu.proto.catalog import Catalog;"
        f"c = Catalog.scan(*{OWN!r}); n = 'bpf_iter_num_new' in c.kfuncs; m = 1 in c.map_types;"
        "before = [x for x in sys.modules if x.startswith('kfuncs.')];"
        "c.kfuncs['bpf_iter_num_new'];"
        "print(n, m, before, [x for x in sys.modules if x.startswith('kfuncs.')])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert out.stdout.strip() == "True True [] ['kfuncs.iter_num']", out.stderr


def test_decorators_over_several_lines_are_found(package) -> None:  # type: ignore[no-untyped-def]
    catalog = Catalog.scan(package(GOOD))

    assert catalog.kfuncs["bpf_answer"][0].mark.since == (6, 9)
    assert catalog.helpers.get(900).name == "bpf_other"
    assert catalog.helpers.get(901) is None and 901 not in catalog.helpers
    assert len(catalog.kfuncs) == 1 and len(catalog.helpers) == 1
    assert [spec.name for spec in catalog.helpers.values()] == ["bpf_other"]
    assert [name for name, _ in catalog.kfuncs.items()] == list(catalog.kfuncs.keys())


def test_the_sum_follows_declarations_and_not_bodies(package) -> None:  # type: ignore[no-untyped-def]
    def total(text: str) -> int:
        places = scan(package(text))
        assert places is not None
        return places.total

    assert total(GOOD) == total(GOOD.replace("return 42", "return 43"))
    assert total(GOOD) != total(GOOD.replace("-> s32", "-> u64"))
    assert total(GOOD) != total(GOOD.replace("bpf_answer", "bpf_question"))


def test_a_broken_iterator_is_refused_when_it_is_asked_for(package) -> None:  # type: ignore[no-untyped-def]
    name = package(
        "from bpfemu.proto.flags import KF_ITER_NEW\n"
        "from bpfemu.proto.marks import kfunc\n"
        "from bpfemu.proto.types import Ptr, Struct, s32\n\n\n"
        "class bpf_iter_odd(Struct):\n    a: s32\n\n\n"
        "@kfunc(KF_ITER_NEW)\n"
        "def bpf_iter_odd_new(it: Ptr[bpf_iter_odd]) -> s32:\n    return s32(0)\n"
    )
    catalog = Catalog.scan(name)

    with pytest.raises(DeclarationError, match=r"sizeof\(bpf_iter_odd\) is 4"):
        catalog.kfuncs["bpf_iter_odd_new"]


def test_packages_that_cannot_be_read_are_discovered(
    package,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = package(GOOD)
    monkeypatch.setattr("bpfemu.proto.catalog.scan", lambda *packages: None)

    catalog = Catalog.scan(name)

    assert catalog.source_sum is None and "bpf_answer" in catalog.kfuncs
    assert catalog.complete() is catalog


def test_a_scan_gives_up_on_folders_that_cannot_be_listed(
    package,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = package(GOOD)

    def refuse(folder: str) -> list[str]:
        raise NotADirectoryError(folder)  # what a package inside a zip archive gives

    monkeypatch.setattr("bpfemu.proto.scan.os.listdir", refuse)

    assert scan(name) is None
