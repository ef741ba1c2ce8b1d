"""Section names → program types (notes, section 8.5)."""

from __future__ import annotations

import pytest

from bpfemu.bind.sections import TABLE, find_section


@pytest.mark.parametrize(
    ("name", "prog_type", "attach_type", "target"),
    [
        ("socket", 1, 0, ""),
        ("kprobe/do_unlinkat", 2, 0, "do_unlinkat"),
        ("kprobe", 2, 0, ""),
        ("uprobe.s//bin/sh:main", 2, 0, "/bin/sh:main"),
        ("kprobe.multi/tcp_*", 2, 42, "tcp_*"),
        ("tc", 3, 0, ""),
        ("tcx/ingress", 3, 46, ""),
        ("tc/egress", 3, 47, ""),
        ("action", 4, 0, ""),
        ("tp/sched/sched_switch", 5, 0, "sched/sched_switch"),
        ("xdp", 6, 37, ""),
        ("xdp.frags/devmap", 6, 33, ""),
        ("perf_event", 7, 0, ""),
        ("cgroup_skb/ingress", 8, 0, ""),
        ("cgroup_skb/egress", 8, 1, ""),
        ("cgroup/dev", 15, 6, ""),
        ("raw_tp/sys_enter", 17, 0, "sys_enter"),
        ("raw_tracepoint.w/x", 24, 0, "x"),
        ("tp_btf/sched_switch", 26, 23, "sched_switch"),
        ("fentry/do_fork", 26, 24, "do_fork"),
        ("fexit.s/mod:do_fork", 26, 25, "mod:do_fork"),
        ("fmod_ret/x", 26, 26, "x"),
        ("iter.s/task_vma", 26, 28, "task_vma"),
        ("struct_ops/init", 27, 0, "init"),
        ("freplace/x", 28, 0, "x"),
        ("lsm/file_open", 29, 27, "file_open"),
        ("sk_lookup", 30, 36, ""),
        ("syscall", 31, 0, ""),
        ("netfilter", 32, 45, ""),
    ],
)
def test_a_section_says_type_attach_type_and_target(
    name: str, prog_type: int, attach_type: int, target: str
) -> None:
    found = find_section(name)
    assert found is not None
    assert (found.prog_type, found.attach_type, found.attach_to) == (prog_type, attach_type, target)


@pytest.mark.parametrize("name", ["xdp/foo", "tc/foo", "kprobes", "", "?", "socket1", ".text"])
def test_names_without_a_plus_match_whole(name: str) -> None:
    assert find_section(name) is None


def test_a_question_mark_excuses_from_loading_and_is_dropped() -> None:
    found = find_section("?raw_tp/x")
    assert found is not None and found.name == "raw_tp/x" and not found.autoload
    assert (find_section("raw_tp/x") or found).autoload


@pytest.mark.parametrize(
    ("name", "sleepable"),
    [
        ("syscall", True),
        ("fentry.s/x", True),
        ("fentry/x", False),
        ("iter.s/x", True),
        ("xdp", False),
    ],
)
def test_sleepable_sections(name: str, sleepable: bool) -> None:
    found = find_section(name)
    assert found is not None and found.definition.sleepable is sleepable


def test_the_first_row_wins() -> None:
    # sk_reuseport/migrate stands before sk_reuseport
    found = find_section("sk_reuseport/migrate")
    assert found is not None and found.attach_type == 40


def test_no_row_stands_twice_and_all_of_the_notes_are_there() -> None:
    names = [row.name + "+" * row.prefix for row in TABLE]
    assert len(names) == len(set(names))
    assert {"usdt.s+", "lwt_seg6local", "cgroup/getsockname_unix", "fsession.multi.s+"} <= set(
        names
    )
    assert all(
        row.since == "newer" for row in TABLE if "multi" in row.name and row.prog_type == "TRACING"
    )
