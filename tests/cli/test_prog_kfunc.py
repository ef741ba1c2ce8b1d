"""``bpfemu prog`` and ``bpfemu kfunc``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bpfemu.cli import run_cli

OBJECT = str(Path(__file__).parent.parent / "data/skel.bpf.o")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def call(*args: str) -> tuple[int, str, str]:
        status = run_cli(list(args))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_prog_show_lists_programs_in_bpftools_words(cli) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = cli("prog", "show", OBJECT)

    assert status == 0
    assert out.startswith("1: syscall  name bump  gpl\n\tsection syscall  xlated ")
    assert "2: raw_tracepoint  name context  gpl" in out
    assert "3: socket_filter  name broken  gpl\n\tsection ?socket" in out


def test_prog_show_as_json(cli) -> None:  # type: ignore[no-untyped-def]
    rows = json.loads(cli("prog", "show", OBJECT, "-p")[1])

    assert [(row["name"], row["type"], row["autoload"]) for row in rows] == [
        ("bump", "syscall", True),
        ("context", "raw_tracepoint", True),
        ("broken", "socket_filter", False),
    ]


def test_dump_xlated_is_the_kernels_instruction_text(cli) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = cli("prog", "dump", "xlated", OBJECT, "name", "context", "linum", "opcodes")

    assert status == 0
    assert out.startswith("int context(void * ctx):\n")
    assert "(85) call bpf_get_smp_processor_id#8\n" in out
    assert "       85 00 00 00 08 00 00 00\n" in out
    assert "; return bpf_get_smp_processor_id() + signed_value; [file:" in out
    assert out.rstrip().splitlines()[-2].endswith("(95) exit")


def test_dump_xlated_as_json(cli) -> None:  # type: ignore[no-untyped-def]
    text = cli("prog", "dump", "xlated", OBJECT, "name", "context", "opcodes", "-j")[1]

    rows = json.loads(text)
    assert rows[0]["insn"] == 0
    assert rows[-1]["disasm"] == "(95) exit" and rows[-1]["opcodes"] == "95 00 00 00 00 00 00 00"
    assert any("signed_value" in row.get("src", "") for row in rows)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name one of its programs: bump, context, broken"),
        (("name", "nope"), "name one of its programs"),
        (("colour",), "unexpected word 'colour'"),
    ],
)
def test_dump_xlated_refuses_what_it_does_not_understand(  # type: ignore[no-untyped-def]
    cli, words: tuple[str, ...], message: str
) -> None:
    status, _, err = cli("prog", "dump", "xlated", OBJECT, *words)

    assert status == 2 and message in err


def test_kfunc_list_and_show_print_prototypes_flags_and_profiles(cli) -> None:  # type: ignore[no-untyped-def]
    listed = cli("kfunc", "list")[1]
    assert "int *bpf_iter_num_next(struct bpf_iter_num *it)\n" in listed
    assert "\tKF_RET_NULL | KF_ITER_NEXT  (6.7, 6.12.0, 6.18.0, 6.18.44)\n" in listed

    status, out, _ = cli("kfunc", "show", "bpf_iter_num_new")
    assert status == 0
    assert out.startswith("int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)\n")
    assert "flags     KF_ITER_NEW\n" in out and "hooks     common\n" in out


def test_kfuncs_of_one_profile_leave_out_what_it_lacks(cli) -> None:  # type: ignore[no-untyped-def]
    new = {row["name"] for row in json.loads(cli("kfunc", "list", "--kernel", "6.18.44", "-j")[1])}
    old = {row["name"] for row in json.loads(cli("kfunc", "list", "--kernel", "6.7", "-j")[1])}

    assert "bpf_iter_bits_new" in new - old  # since 6.11
    assert "bpf_iter_task_vma_new" in new & old


def test_both_task_vma_profiles_are_shown_apart(cli) -> None:  # type: ignore[no-untyped-def]
    rows = json.loads(cli("kfunc", "show", "bpf_iter_task_vma_new", "-j")[1])

    assert [row["profiles"] for row in rows] == [["6.7", "6.12.0", "6.18.0"], ["6.18.44"]]


def test_an_unknown_kfunc_or_profile_is_refused_with_a_hint(cli) -> None:  # type: ignore[no-untyped-def]
    status, _, err = cli("kfunc", "show", "bpf_iter_num")
    assert status == 2 and "bpf_iter_num_new" in err
    assert cli("kfunc", "list", "--kernel", "9.9")[0] == 2


def test_prog_dump_explains_the_encoding_of_ksyms_that_was_proposed_first(cli, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A constant, 0x1122334455667788, made into a load of BTF id 0x19000 by hand."""
    source = Path(__file__).parents[2] / "programs/atomics/fetch.bpf.o"
    code = bytearray(source.read_bytes())
    at = code.index(bytes.fromhex("88776655")) - 4
    assert code[at] == 0x18 and code[at + 1] >> 4 == 0
    code[at + 1] |= 3 << 4
    code[at + 2 : at + 4] = b"\x00\x90"
    code[at + 10 : at + 12] = b"\x01\x00"
    made = tmp_path / "proposed.bpf.o"
    made.write_bytes(code)

    status, _, err = cli("prog", "dump", "xlated", str(made), "name", "exchange")

    assert status != 0
    assert "invalid bpf_ld_imm64 insn; off -28672 and 1 are the 2020 proposal's encoding" in err
    assert "BTF id 102400 in the offsets, address 0x1122334455667788 in the immediates" in err
    assert "the merged encoding is what runs" in err


def test_run_on_a_kernel_whose_kallsyms_has_no_data(cli) -> None:  # type: ignore[no-untyped-def]
    ksyms = str(Path(__file__).parents[2] / "programs/ksyms/percpu.bpf.o")

    assert cli("run", ksyms, "this_cpu")[0] == 0
    status, _, err = cli("run", ksyms, "this_cpu", "--kallsyms", "functions")
    assert status != 0 and "failed to find the address for kernel symbol 'runqueues'" in err
