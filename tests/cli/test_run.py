"""``bpfemu run``: what it shows, and its exit status."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from bpfemu.cli import run_cli
from bpfemu.compile import find_compilers

DATA = Path(__file__).parent.parent / "data"
OBJECT = str(DATA / "skel.bpf.o")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def call(*args: str) -> tuple[int, str, str]:
        status = run_cli(list(args))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_a_good_run_shows_everything_and_exits_0(cli) -> None:  # type: ignore[no-untyped-def]
    status, out, err = cli("run", OBJECT, "bump", "--seed", "3", "--set", "factor=4")

    assert (status, err) == (0, "")
    assert out.startswith("bump: returned 4; ")
    assert "kernel 6.12.0, task context, seed 3" in out
    assert "\nmap table (1 element)\n  0: {a: 0, b: -1, name: 'pair'}\n" in out
    assert "\nmap per_cpu (1 element)\n  0: [1, 0]\n" in out
    assert "\n.data\n  signed_value = -5\n" in out
    assert "\nprintk\n  run 1 of plain\n" in out
    assert "\nrecords (1)\n  events: {kind: 1, value: 0}\n" in out
    assert "\nleaks\n  none\n" in out


def test_json_holds_the_same(cli) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = cli("run", OBJECT, "bump", "--json", "--cpus", "1")

    data = json.loads(out)
    assert status == 0
    assert (data["program"], data["retval"], data["stop"]) == ("bump", 3, "exit")
    assert data["maps"]["table"] == [{"key": 0, "value": {"a": 0, "b": -1, "name": "pair"}}]
    assert data["maps"]["per_cpu"] == [{"key": 0, "value": [1]}]
    assert data["globals"][".bss"]["runs"] == 1
    assert data["records"] == [
        {"map": "events", "value": {"kind": 1, "value": 0}, "bytes": "0100000000000000"}
    ]
    assert data["leaks"] == [] and data["fault"] is None


def test_a_fault_shows_a_report_and_exits_1(cli) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = cli("run", OBJECT, "broken")

    assert status == 1
    assert "NULL dereference" in out
    assert "skel.bpf.c:91" in out
    assert "→" in out and "registers" in out and "broken+" in out


def test_a_fault_in_json_names_kind_line_and_calls(cli) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = cli("run", OBJECT, "broken", "--json")

    fault = json.loads(out)["fault"]
    assert status == 1
    assert fault["kind"] == "NULL dereference" and fault["addr"] == 0
    assert "skel.bpf.c:91" in fault["line"] and fault["calls"][0].startswith("broken+")


def test_a_spent_budget_exits_1(cli) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = cli("run", OBJECT, "bump", "--budget", "7")

    assert status == 1 and out.startswith("bump: budget")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((OBJECT,), "name one of its programs: bump, context, broken"),
        ((OBJECT, "nope"), "no program 'nope'; there are bump"),
        (("absent.bpf.o",), "absent.bpf.o: no such file"),
        ((OBJECT, "bump", "--set", "factor"), "--set 'factor' must be NAME=VALUE"),
        ((OBJECT, "bump", "--set", "colour=1"), "--set colour: no such variable; there are"),
        ((OBJECT, "bump", "--kernel", "1.0"), "no kernel profile '1.0'"),
        ((OBJECT, "bump", "--task-maps", "/absent/maps"), "/absent/maps"),
        ((OBJECT, "bump", "--context", "bath"), "context 'bath' must be one of"),
        ((OBJECT, "bump", "--btf", OBJECT + ".none"), "none"),
        ((OBJECT, "bump", "--cpus", "0"), "cpus is 0"),
        ((OBJECT, "bump", "--no-such"), "No such option"),
    ],
)
def test_what_a_person_gives_wrong_is_one_line_and_exit_2(  # type: ignore[no-untyped-def]
    cli, args: tuple[str, ...], message: str
) -> None:
    status, out, err = cli("run", *args)

    assert status == 2 and out == ""
    assert message in err and "Traceback" not in err


def test_task_maps_become_the_current_tasks_vmas(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    maps = tmp_path / "maps"
    maps.write_text(
        "00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/dbus-daemon\n"
        "00651000-00652000 r--p 00051000 08:02 173521 /usr/bin/dbus-daemon\n"
        "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]\n"
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n"
    )
    census = str(DATA.parent.parent / "programs/iters/vma_census.bpf.o")

    status, out, _ = cli("run", census, "--task-maps", str(maps), "--json")

    data = json.loads(out)
    assert (status, data["retval"]) == (0, 3)  # vsyscall is not a VMA
    counts = {one["key"]["text"]: one["value"] for one in data["maps"]["by_perm"]}
    assert counts["r-xp"] == {"count": 1, "bytes": 0x52000}
    assert counts["rw-p"] == {"count": 1, "bytes": 0x21000}
    assert [record["value"]["file"] for record in data["records"]] == ["dbus-daemon"]
    assert data["iterators"][0]["elements"] == 3 and data["iterators"][0]["ended"] == "drained"


def test_nonsense_in_maps_text_names_the_line(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    maps = tmp_path / "maps"
    maps.write_text("00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/x\nnonsense\n")
    census = str(DATA.parent.parent / "programs/iters/vma_census.bpf.o")

    status, _, err = cli("run", census, "--task-maps", str(maps))

    assert status == 2 and "maps:2: 'nonsense': must be" in err


def test_colours_come_only_when_asked_for(cli, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in cli("run", OBJECT, "bump")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in cli("run", OBJECT, "bump")[1]


def test_help_and_version(cli) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = cli("--help")
    assert status == 0
    for command in ("run", "prog", "kfunc", "conformance-plugin"):
        assert command in out
    assert cli("run", "--help")[0] == 0
    assert cli("nonsense")[0] == 2


FAULTS = str(Path(__file__).parents[2] / "programs" / "faults")


def test_json_has_the_report_and_the_last_instructions(cli) -> None:  # type: ignore[no-untyped-def]
    _, text, _ = cli("run", FAULTS + "/memory.bpf.o", "after_submit")
    _, out, _ = cli("run", FAULTS + "/memory.bpf.o", "after_submit", "--json")

    data = json.loads(out)
    assert "\n".join(data["report"]) in text
    assert any("→   13: (7b) *(u64 *)(r6 +0) = r1" in line for line in data["report"])
    assert data["trail"][-1] == "  13: (7b) *(u64 *)(r6 +0) = r1"
    assert data["fault"]["allocated_by"].startswith("call bpf_ringbuf_reserve at after_submit+")
    assert data["fault"]["freed_by"].startswith("call bpf_ringbuf_submit at after_submit+11")
    assert data["fault"]["calls"][0].startswith("after_submit+13 (memory.bpf.c:88: ")


def test_a_leak_tells_where_it_was_acquired(cli) -> None:  # type: ignore[no-untyped-def]
    status, text, _ = cli("run", FAULTS + "/memory.bpf.o", "record_kept")
    _, out, _ = cli("run", FAULTS + "/memory.bpf.o", "record_kept", "--json")

    (leak,) = json.loads(out)["leaks"]
    assert status == 1 and f"  {leak['message']}: {leak['site']}\n" in text
    assert leak["site"].startswith("call bpf_ringbuf_reserve at record_kept+4 (memory.bpf.c:129: ")


def test_a_spent_budget_shows_its_loop(cli) -> None:  # type: ignore[no-untyped-def]
    loops = str(Path(__file__).parents[2] / "programs" / "bench" / "loops.bpf.o")
    status, text, _ = cli("run", loops, "num_loop", "--budget", "500")

    assert status == 1
    assert "budget: the program was still running after 500 instructions" in text
    assert "\n  loop      pc " in text and "loops.bpf.c:6" in text
    assert "iterator  bpf_iter_num, made at pc 8" in text


def test_a_terminal_without_our_characters_gets_the_report_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(page, encoding="cp1252"))

    assert run_cli(["run", OBJECT, "broken"]) == 1
    assert b"registers" in page.getvalue() and b"    ?    " in page.getvalue()


UNUSED_MAP = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, 8);
	__uint(value_size, 8);
	__uint(max_entries, 4);
} trie SEC(".maps");
char LICENSE[] SEC("license") = "GPL";
SEC("raw_tp")
int unused(void *ctx) { return 5; }
"""


@pytest.mark.skipif(not list(find_compilers()), reason="no clang that compiles for BPF")
def test_a_map_that_is_not_emulated_is_no_matter_where_no_program_uses_it(
    cli,  # type: ignore[no-untyped-def]
    tmp_path: Path,
) -> None:
    source = tmp_path / "x.bpf.c"
    source.write_text(UNUSED_MAP)

    status, out, err = cli("run", str(source))

    assert (status, err) == (0, "")
    assert out.startswith("unused: returned 5; ")
