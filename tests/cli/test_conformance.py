"""The plugin of the bpf_conformance runner: its protocol, on our own conformance cases."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfemu.cli import run_cli
from bpfemu.engine.base import ENGINES
from bpfemu.isa.encoding import encode
from tests.builders.asm import prog_bytes
from tests.builders.elf import ElfBuilder
from tests.builders.text_object import text_object
from tests.conformance.cases import Case, load_cases

Plugin = Callable[..., tuple[int, str, str]]

PROGRAMS = Path(__file__).parents[2] / "programs"
CASES = [case for case in load_cases() if case.skb is None]
ADD = prog_bytes("r0 = *(u8 *)(r1 +1); r0 <<= 8; r0 |= r2; exit")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Plugin:
    """Run the plugin as the runner does; gives exit status, standard output, standard error."""

    def run(stdin: bytes | str, *args: str) -> tuple[int, str, str]:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        status = run_cli(["conformance-plugin", *args])
        out, err = capsys.readouterr()
        return status, out, err

    return run


def _as_the_runner_writes(data: bytes) -> str:
    """Two digits and two blanks for each byte."""
    return "".join(f"{byte:02x}  " for byte in data) + "\n"


def _args(case: Case) -> list[str]:
    return [_as_the_runner_writes(case.mem)] if case.mem else []


@pytest.mark.parametrize("engine", ENGINES)
def test_every_conformance_case_comes_out(plugin: Plugin, engine: str) -> None:
    wrong = []
    for case in CASES:
        program = _as_the_runner_writes(encode(case.code))

        status, out, err = plugin(program, *_args(case), "--engine", engine)

        good = (0, f"{case.result:x}\n", "") if case.result is not None else (1, "", err)
        if (status, out, err) != good or (case.result is None and not err):
            wrong.append((case.name, status, out, err))

    assert wrong == []


def test_memory_comes_in_r1_and_its_length_in_r2(plugin: Plugin) -> None:
    assert plugin(ADD.hex(), "aa bb cc") == (0, "bb03\n", "")


def test_without_memory_r1_and_r2_are_zero(plugin: Plugin) -> None:
    program = prog_bytes("r0 = r1; r0 |= r2; exit").hex()

    assert plugin(program) == plugin(program, "") == plugin(program, "", "") == (0, "0\n", "")


def test_an_object_comes_as_hex_or_raw(plugin: Plugin) -> None:
    data = text_object(ADD)

    assert plugin(_as_the_runner_writes(data), "aa bb", "--elf") == (0, "bb02\n", "")
    assert plugin(data, "aa bb", "--elf") == (0, "bb02\n", "")


def test_the_function_main_is_run_wherever_it_stands(plugin: Plugin) -> None:
    assert plugin(text_object(ADD, "other"), "aa bb", "--elf")[:2] == (0, "bb02\n")


def test_an_object_whose_calls_lead_nowhere_is_refused(plugin: Plugin) -> None:
    data = text_object(prog_bytes("r1 = 0 ll; r0 = 0; exit"), relocated=True)

    status, out, err = plugin(data, "--elf")

    assert (status, out) == (2, "")
    assert "main insn 0: no .text function starts at slot 0" in err


def test_an_object_with_a_call_within_its_function_runs_as_it_stands(plugin: Plugin) -> None:
    data = text_object(prog_bytes("r1 = 5; call sub; exit; sub: r0 = r1; r0 += 2; exit"))

    assert plugin(data, "--elf") == (0, "7\n", "")


def test_several_functions_are_linked_and_run_on_a_kernel(plugin: Plugin) -> None:
    sub = prog_bytes("r0 = *(u8 *)(r1 +1); r0 += r2; exit")
    call = struct.pack("<BBhi", 0x85, 0x10, 0, -4)  # back to the first slot
    main = call + prog_bytes("r6 = r0; call 8; r0 = r6; exit")  # bpf_get_smp_processor_id
    elf = ElfBuilder().section(".text", sub + main, flags=6)
    elf.symbol("sub", ".text", 0, len(sub), "func", "local")
    elf.symbol("entry", ".text", len(sub), len(main), "func")

    assert plugin(elf.build(), "05 07 09", "--elf") == (0, "a\n", "")  # 7 + 3
    status, _, err = plugin(elf.build(), "--elf")
    assert status == 2 and "it reads 2 bytes of context, 0 are given" in err


def test_an_object_with_maps_and_helpers_runs_on_a_kernel(plugin: Plugin) -> None:
    status, out, err = plugin((PROGRAMS / "maps" / "hash.bpf.o").read_bytes(), "--elf")

    assert (status, err) == (0, "") and int(out, 16) == 111


def test_memory_is_the_packet_of_a_packet_program(plugin: Plugin) -> None:
    packet = "00 " * 64

    status, out, err = plugin((PROGRAMS / "packets" / "parse.bpf.o").read_bytes(), packet, "--elf")

    assert (status, err) == (0, "") and out == "32\n"


def test_an_object_without_functions_is_refused(plugin: Plugin) -> None:
    status, out, err = plugin(text_object(b""), "--elf")

    assert (status, out) == (2, "")
    assert "no function" in err


def test_a_fault_goes_to_standard_error_with_status_1(plugin: Plugin) -> None:
    status, out, err = plugin(prog_bytes("r0 = *(u64 *)(r1 +0); exit").hex(), "aa bb")

    assert (status, out) == (1, "")
    assert err.startswith("bpfemu: insn 0: out of bounds: ")


@pytest.mark.parametrize(
    ("stdin", "args", "message"),
    [
        ("zz", (), "standard input: 'zz' is not hex bytes"),
        ("95 0", (), "standard input: '0' is not hex bytes"),
        ("95 00", (), "code of 2 bytes is not a whole number of 8-byte slots"),
        ("", (), "standard input: there is no program"),
        ("ff 00 00 00 00 00 00 00", (), "insn 0: unknown opcode ff"),
        ("05 00 05 00 00 00 00 00", (), "jump out of range from insn 0 to 6"),
        ("95 00 00 00 00 00 00 00", ("a",), "the memory argument: 'a' is not hex bytes"),
        ("95 00 00 00 00 00 00 00", ("aa", "bb"), "unexpected extra arguments (bb)"),
        ("95 00 00 00 00 00 00 00", ("aa", "--engine", "steam"), "no engine 'steam'"),
        ("", ("--elf",), "not an ELF file"),
        ("00 01 02 03", ("--elf",), "not an ELF file"),
    ],
)
def test_what_is_no_program_is_refused_with_status_2(
    plugin: Plugin, stdin: str, args: tuple[str, ...], message: str
) -> None:
    status, out, err = plugin(stdin, *args)

    assert (status, out) == (2, "")
    assert message in err
