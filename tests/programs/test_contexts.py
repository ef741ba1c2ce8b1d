"""Programs that get a context or a packet from their caller."""

from __future__ import annotations

import struct

import pytest

from bpfemu.errors import InputError
from bpfemu.skeleton import open_object
from tests.programs.test_programs import PROGRAMS, run

TYPED, PARSE = "contexts/typed.bpf.o", "packets/parse.bpf.o"


def test_a_syscall_programs_context_goes_in_and_comes_back():
    outcome = run(TYPED, "answer", "6.12.0", ctx={"left": 0xFFFF_FFFF, "right": 3})

    assert outcome == 1
    assert outcome.ctx_out == struct.pack("IIQ", 0xFFFF_FFFF, 3, 0x1_0000_0002)


def test_a_context_that_is_too_short_is_refused_before_the_run():
    with pytest.raises(InputError, match="answer: it reads 16 bytes of context, 8 are given"):
        run(TYPED, "answer", "6.12.0", ctx=bytes(8))


def test_raw_tracepoint_arguments_are_words():
    assert run(TYPED, "raw_args", "6.12.0", ctx=[40, *[0] * 10, 2]) == 42
    assert run(TYPED, "raw_unpacked", "6.12.0", ctx=[0, 59]) == 59


def test_kprobe_arguments_and_results_come_from_registers():
    assert run(TYPED, "kprobe_args", "6.12.0", ctx=[30, 12]) == 42
    assert run(TYPED, "kretprobe_value", "6.12.0", ctx={"ax": -3}) == -2


def test_traced_arguments_are_given_by_name():
    assert run(TYPED, "fentry_task", "6.12.0", ctx={"p": None}) == 0
    assert run(TYPED, "fexit_task", "6.12.0", ctx={"ret": None}) == 0


def test_records_and_events_are_given_by_field():
    assert run(TYPED, "record", "6.12.0", ctx={"prev_pid": 7, "next_prio": 120}) == 132
    assert run(TYPED, "event", "6.12.0", ctx={"ip": 1, "sample_period": 2, "addr": 3}) == 6


@pytest.mark.parametrize(
    ("ethertype", "verdict"), [(0x0800, 1), (0x86DD, 2)], ids=["IPv4 dropped", "IPv6 passed"]
)
def test_an_xdp_program_sees_the_packet(ethertype, verdict):
    frame = bytes(12) + struct.pack(">H", ethertype) + bytes(50)

    assert run(PARSE, "xdp_ethertype", "6.12.0", data_in=frame) == verdict


def test_a_short_packet_ends_before_the_bytes_that_a_program_wants():
    assert run(PARSE, "xdp_write", "6.12.0", data_in=bytes(60)) == 0  # XDP_ABORTED
    assert run(PARSE, "xdp_length", "6.12.0", data_in=bytes(1000)) == 1000


def test_what_a_program_writes_into_a_packet_comes_back():
    outcome = run(PARSE, "xdp_write", "6.12.0", data_in=bytes(64))

    assert outcome.data_out == b"\x64" + bytes(62) + b"\xc8"


def test_filters_load_from_behind_the_ethernet_header():
    frame = bytes(14) + struct.pack(">IH", 0x01020304, 0x0506) + bytes(44)

    assert run(PARSE, "filter_load", "6.12.0", data_in=frame) == 0x01020304 + 0x0506 + 1


def test_fields_of_a_packets_context_go_in_and_come_back():
    outcome = run(PARSE, "tc_mark", "6.12.0", ctx={"mark": 10})

    assert outcome == 22
    assert struct.unpack_from("I", outcome.ctx_out, 8) == (15,)


def test_the_census_stops_at_its_limit():
    with open_object(PROGRAMS / "iters/vma_census.bpf.o") as skel:
        skel.rodata.limit = 2
        outcome = skel.load().progs.vma_census.run()

        assert outcome == 2
        assert skel.bss.vmas == 2 and skel.bss.stopped_early is True
        assert [it.ended for it in outcome.iterators] == ["left early"]
        assert sum(tally["count"] for tally in skel.maps.by_perm.values()) == 2


def test_the_census_accounts_for_every_byte_and_every_executable_vma():
    with open_object(PROGRAMS / "iters/vma_census.bpf.o") as skel:
        outcome = skel.progs.vma_census.run()
        tallies = {key["text"]: value for key, value in skel.maps.by_perm.items()}

        assert outcome.ok and outcome == skel.bss.vmas > 0
        assert sum(tally["count"] for tally in tallies.values()) == skel.bss.vmas
        assert sum(tally["bytes"] for tally in tallies.values()) == skel.bss.bytes
        executable = sum(value["count"] for key, value in tallies.items() if "x" in key)
        assert executable == skel.bss.executable > 0
        assert len(outcome.records) == executable
        assert len(outcome.printk) == executable + 1
