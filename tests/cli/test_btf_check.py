"""``bpfemu btf check``: the kernel's verdict, its words and its errno; the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bpfemu.btf import BtfBuilder
from tests.btf.cases import all_cases
from tests.btf.samples import pair_blob, split_pair
from tests.btf.test_types import VMLINUX, needs_vmlinux
from tests.builders.elf import ElfBuilder
from tests.cli.calling import Cli, cli

__all__ = ["cli"]

OBJECT = Path(__file__).parent.parent / "data/skel.bpf.o"
CASES = {name: case for name, case in all_cases().items() if case.message and len(case.data) > 1}


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    (tmp_path / "blob").write_bytes(pair_blob())
    return tmp_path / "blob"


def test_a_good_blob_is_accepted(cli: Cli, blob: Path) -> None:
    assert cli("btf", "check", blob) == (0, f"{blob}: accepted\n", "")
    assert json.loads(cli("btf", "check", blob, "-j")[1]) == {"file": str(blob), "accepted": True}


def test_an_object_is_checked_as_it_is_loaded(cli: Cli) -> None:
    assert cli("btf", "check", OBJECT)[0] == 0


def test_a_refusal_has_the_kernels_words_its_errno_and_its_log(cli: Cli, tmp_path: Path) -> None:
    builder = BtfBuilder()
    builder.struct("bad", 4, [("x", 0, 0)])
    (tmp_path / "b").write_bytes(builder.build().raw)

    status, out, _ = cli("btf", "check", tmp_path / "b")

    assert status == 1
    head, *log = out.splitlines()
    assert head == f"{tmp_path / 'b'}: refused: type [1]: Invalid type_id (EINVAL)"
    assert log[0] == "  magic: 0xeb9f"
    assert log[-1] == "  \tx type_id=0 bits_offset=0 Invalid type_id"


def test_a_refusal_as_json(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(pair_blob()[:2] + b"\x02" + pair_blob()[3:])

    status, out, _ = cli("btf", "check", tmp_path / "b", "-p")

    row = json.loads(out)
    assert status == 1
    assert (row["errno"], row["error"]) == (524, "ENOTSUPP")
    assert (row["message"], row["type_id"]) == ("Unsupported version", None)
    assert row["log"][-1] == "Unsupported version"


@pytest.mark.parametrize("name", sorted(CASES)[::7])
def test_refusals_are_those_of_the_rules(cli: Cli, tmp_path: Path, name: str) -> None:
    (tmp_path / "b").write_bytes(CASES[name].data)

    status, out, err = cli("btf", "check", tmp_path / "b", "-j")

    if status == 2:  # no magic number: not BTF
        assert "neither BTF nor ELF nor gzip" in err
        assert CASES[name].data[:2] not in (b"\x9f\xeb", b"\xeb\x9f")
        return
    row = json.loads(out)
    assert status == (1 if CASES[name].errno else 0)
    assert row.get("errno", 0) == CASES[name].errno


def test_a_module_is_checked_on_its_base(cli: Cli, tmp_path: Path) -> None:
    base, split = split_pair()
    (tmp_path / "base").write_bytes(base.raw)
    (tmp_path / "mod").write_bytes(split.raw)

    assert cli("btf", "check", tmp_path / "mod", "-B", tmp_path / "base")[0] == 0
    assert cli("btf", "check", tmp_path / "mod")[0] == 1


def test_a_kernels_own_types_may_be_what_a_programs_may_not(cli: Cli, tmp_path: Path) -> None:
    builder = BtfBuilder()
    builder.ptr(7)  # references are not followed in a kernel's BTF
    (tmp_path / "b").write_bytes(builder.build().raw)

    assert cli("btf", "check", tmp_path / "b")[0] == 1
    assert cli("btf", "check", tmp_path / "b", "--kernel")[0] == 0


@needs_vmlinux
def test_a_real_kernel_is_accepted(cli: Cli) -> None:
    assert cli("btf", "check", VMLINUX)[0] == 0


def test_an_object_whose_types_cannot_be_read_is_judged_by_its_section(
    cli: Cli, tmp_path: Path
) -> None:
    bare = b"\x9f\xeb\x01\x00\x18\x00\x00\x00" + bytes(16)
    for blob, said in ((bare, "No data"), (pair_blob()[:-1], "Total section length too long")):
        elf = ElfBuilder().section(".BTF", blob).license()
        (tmp_path / "x.o").write_bytes(elf.build())

        status, out, _ = cli("btf", "check", tmp_path / "x.o")

        assert status == 1 and f"refused: {said} (EINVAL)" in out


def test_types_of_an_object_with_broken_code_can_be_checked(cli: Cli, tmp_path: Path) -> None:
    elf = ElfBuilder().section(".BTF", pair_blob()).code("raw_tp", "r0 = 0; exit", name="p")
    (tmp_path / "x.o").write_bytes(elf.build().replace(b"\x95" + bytes(7), b"\xff" * 8))

    assert cli("prog", "show", tmp_path / "x.o")[0] == 2
    assert cli("btf", "check", tmp_path / "x.o")[0] == 0


@pytest.mark.parametrize("content", [b"", b"hello", b"\x7fELF", None])
def test_what_is_not_btf_is_an_error(cli: Cli, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "b").write_bytes(content)

    status, out, err = cli("btf", "check", tmp_path / "b")

    assert (status, out) == (2, "")
    assert err.startswith("bpfemu: ")
