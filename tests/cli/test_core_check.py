"""``bpfemu core-check``: a table, JSON, SARIF; the exit status says whether something fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bpfemu.btf import BtfBuilder
from tests.builders.elf import ElfBuilder
from tests.cli.calling import Cli, cli

__all__ = ["cli"]

DATA = Path(__file__).parent.parent / "data"
OBJECT = DATA / "core.bpf.o"


def kernel(*, young: bool = True, frozen: int | None = 9) -> bytes:
    """A kernel's types: pid at byte 16, young at 24, inside.deep at 40."""
    btf = BtfBuilder()
    number = btf.int_("int", 4, 1)
    wide = btf.int_("long", 8, 1)
    inner = btf.struct("inner", 8, [("before", number, 0), ("deep", number, 32)])
    rows = [("pid", number, 128), ("inside", inner, 288)]
    btf.struct("task_struct", 64, rows + ([("young", wide, 192)] if young else []))
    names = [("RUNNING", 0)] + ([] if frozen is None else [("FROZEN", frozen)])
    btf.enum("state", 4, names)
    return btf.build().raw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A new kernel, and an old one without ``young`` and ``FROZEN``."""
    (tmp_path / "new").write_bytes(kernel())
    (tmp_path / "old").write_bytes(kernel(young=False, frozen=None))
    return tmp_path


def result_of(out: str, *words: str) -> str:
    (line,) = [line for line in out.splitlines() if all(word in line for word in words)]
    return line


def test_every_relocation_of_every_kernel_is_a_row(cli: Cli, folder: Path) -> None:
    status, out, _ = cli("core-check", OBJECT, "--btf", folder)

    assert status == 1
    head, *rows, last = out.splitlines()
    assert head.split() == ["KERNEL", "PROGRAM", "INSN", "WHERE", "RELOCATION", "RESULT"]
    assert len(rows) == 14
    assert last == "14 relocations against 2 kernels: 2 failed"


def test_values_are_the_kernels_and_poison_says_whether_it_is_reached(
    cli: Cli, folder: Path
) -> None:
    out = cli("core-check", OBJECT, "--btf", folder)[1]

    new, old = "new ", "old "
    assert "core.bpf.c:28 " in result_of(out, new, "inside.deep")
    assert result_of(out, new, "inside.deep").endswith(
        "40  struct task_struct.inside.deep (0:1:1 @ offset 40)"
    )
    assert result_of(out, new, "guarded", "<field_exists>").endswith(
        "1 (there)  struct task_struct.young (0:2 @ offset 24)"
    )
    assert result_of(out, old, "guarded", "<field_exists>").endswith("  0 (missing)")
    assert result_of(out, old, "guarded", "<byte_off>", "young").endswith("  poison, in dead code")
    assert result_of(out, old, "bare", "young").endswith("  POISON, reached")
    assert result_of(out, new, "FROZEN").endswith("9  enum state::FROZEN = 9")
    assert result_of(out, old, "FROZEN").endswith("  POISON, reached")
    assert result_of(out, new, "<type_size>").endswith("64  struct task_struct")


def test_a_kernel_with_everything_passes(cli: Cli, folder: Path) -> None:
    status, out, _ = cli("core-check", OBJECT, "--btf", folder / "new")

    assert status == 0
    assert out.splitlines()[-1] == "7 relocations against 1 kernel: none failed"


def test_programs_can_be_chosen(cli: Cli, folder: Path) -> None:
    assert cli("core-check", OBJECT, "--btf", folder, "--program", "guarded")[0] == 0
    assert cli("core-check", OBJECT, "--btf", folder, "--program", "bare")[0] == 1

    status, _, err = cli("core-check", OBJECT, "--btf", folder, "--program", "none")
    assert status == 2
    assert "no program 'none'; there are guarded, bare, others" in err


def test_more_files_may_follow_the_option(cli: Cli, folder: Path) -> None:
    out = cli("core-check", OBJECT, "--btf", folder / "old", folder / "new")[1]

    assert out.splitlines()[-1].startswith("14 relocations against 2 kernels")


def test_json_has_a_row_for_each(cli: Cli, folder: Path) -> None:
    status, out, _ = cli("core-check", OBJECT, "--btf", folder, "--json")

    rows = json.loads(out)
    assert status == 1 and len(rows) == 14
    (row,) = [r for r in rows if (r["kernel"], r["program"]) == ("old", "bare")]
    assert row["value"] is None and row["reached"] and row["fails"]
    assert row["relocation"] == "<byte_off> [5] struct task_struct.young (0:1 @ offset 8)"
    assert row["file"].endswith("core.bpf.c") and row["line"] == 46
    (row,) = [r for r in rows if r["kernel"] == "new" and r["program"] == "bare"]
    assert (row["value"], row["poison"], row["fails"]) == (24, None, False)


def check_sarif(log: dict[str, object]) -> list[dict[str, object]]:
    """The properties that SARIF 2.1.0 requires, with their types; the results."""
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]  # type: ignore[misc]
    driver = run["tool"]["driver"]
    assert isinstance(driver["name"], str) and driver["name"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
    for result in run["results"]:
        assert isinstance(result["message"]["text"], str) and result["message"]["text"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        for location in result["locations"]:
            place = location["physicalLocation"]
            assert place["artifactLocation"]["uri"]
            region = place.get("region", {"startLine": 1})
            assert region["startLine"] >= 1 and region.get("startColumn", 1) >= 1
    return run["results"]  # type: ignore[no-any-return]


def test_sarif_has_what_failed_and_notes_for_what_is_dead(cli: Cli, folder: Path) -> None:
    status, out, _ = cli("core-check", OBJECT, "--btf", folder, "--sarif")

    log = json.loads(out)
    results = check_sarif(log)
    assert status == 1
    assert sorted((r["ruleId"], r["level"]) for r in results) == [
        ("BPFEMU201", "error"),
        ("BPFEMU201", "error"),
        ("BPFEMU204", "note"),
    ]
    (bare,) = [r for r in results if "bare on old: insn 1: " in r["message"]["text"]]  # type: ignore[index]
    place = bare["locations"][0]["physicalLocation"]  # type: ignore[index]
    assert place["artifactLocation"]["uri"].endswith("tests/data/core.bpf.c")
    assert place["region"]["startLine"] == 46


def test_sarif_paths_lead_from_the_checkout(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("--btf", folder / "old", "--program", "bare", "--sarif")

    def uri(file: object) -> object:
        (result,) = check_sarif(json.loads(cli("core-check", file, *more)[1]))
        return result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]  # type: ignore[index]

    monkeypatch.chdir(DATA.parent.parent)
    assert uri("tests/data/core.bpf.o") == uri(OBJECT) == "tests/data/core.bpf.c"
    monkeypatch.chdir(folder)
    assert uri(OBJECT) == (DATA / "core.bpf.c").as_posix()


def test_sarif_paths_may_have_any_bytes(cli: Cli, folder: Path) -> None:
    (folder / "x.o").write_bytes(OBJECT.read_bytes().replace(b"core.bpf.c", b"co\xffre.bp c"))
    args = ("core-check", folder / "x.o", "--btf", folder / "old", "--program", "bare")

    (result,) = check_sarif(json.loads(cli(*args, "--sarif")[1]))

    place = result["locations"][0]["physicalLocation"]  # type: ignore[index]
    assert place["artifactLocation"]["uri"] == "co%FFre.bp%20c"


def test_sarif_without_findings_is_valid_too(cli: Cli, folder: Path) -> None:
    status, out, _ = cli("core-check", OBJECT, "--btf", folder / "new", "--sarif")

    assert status == 0
    assert check_sarif(json.loads(out)) == []


def test_ambiguity_and_unlinkable_programs_fail_with_a_reason(cli: Cli, tmp_path: Path) -> None:
    btf = BtfBuilder()
    number = btf.int_("int", 4, 1)
    for at in (0, 32):
        btf.struct("task_struct", 64, [("pid", number, at), ("young", number, 64)])
    (tmp_path / "twice").write_bytes(btf.build().raw)
    args = ("core-check", OBJECT, "--btf", tmp_path / "twice", "--program", "guarded")

    status, out, _ = cli(*args)
    results = check_sarif(json.loads(cli(*args, "--sarif")[1]))

    assert status == 1
    assert "cannot be loaded: field offset ambiguity: 32 != 0" in out
    assert "BPFEMU202" in [result["ruleId"] for result in results]


def test_what_reaches_what_is_unknown_without_a_program_type(cli: Cli, folder: Path) -> None:
    elf = (
        OBJECT.read_bytes().replace(b"\0raw_tp\0", b"\0mystic\0").replace(b"raw_tp\0", b"mystic\0")
    )
    (folder / "odd.o").write_bytes(elf)

    status, out, _ = cli("core-check", folder / "odd.o", "--btf", folder / "old")

    assert status == 1
    assert "old: guarded: guarded: missing BPF prog type, check ELF section name 'mystic'" in out
    assert out.count("every relocation counts as reached") == 3
    assert "3 failed" in out


def test_a_program_that_cannot_be_linked_is_a_failure(cli: Cli, folder: Path) -> None:
    elf = ElfBuilder().code("raw_tp", "call 5; exit", name="lost").license()
    (folder / "lost.o").write_bytes(elf.build().replace(b"\x85\x00", b"\x85\x10"))
    args = ("core-check", folder / "lost.o", "--btf", folder / "new")

    status, out, _ = cli(*args)
    (row,) = json.loads(cli(*args, "--json")[1])
    (result,) = check_sarif(json.loads(cli(*args, "--sarif")[1]))

    assert status == 1
    assert "cannot be linked: lost insn 0: no .text function starts at slot 6" in out
    assert row["fails"] and "no .text function" in row["note"]
    assert result["ruleId"] == "BPFEMU203"


def test_settings_and_their_form(cli: Cli, folder: Path) -> None:
    args = ("core-check", OBJECT, "--btf", folder / "new", "--kconfig")

    assert cli(*args, "CONFIG_HZ=250")[0] == 0
    status, _, err = cli(*args, "CONFIG_HZ")
    assert status == 2 and "--kconfig 'CONFIG_HZ' must be NAME=VALUE" in err


def test_no_kernel_is_a_usage_error(cli: Cli) -> None:
    status, _, err = cli("core-check", OBJECT)

    assert status == 2 and "give --btf FILE" in err
