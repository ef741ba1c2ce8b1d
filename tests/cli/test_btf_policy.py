"""``bpfemu btf policy``: modules under each policy, as text and JSON; the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bpfemu.btf import Btf
from bpfemu.cli import btf_policy
from tests.cli.calling import Cli, cli
from tests.kernel.btf_parts import broken_module, own_ids, plain_module, vmlinux
from tests.kernel.test_module_file import with_ids

__all__ = ["cli"]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A kernel, a good module, a broken one, and one that is no BTF of this kernel."""
    types = vmlinux()
    (tmp_path / "vmlinux").write_bytes(types.raw)
    for name, data, flags in [
        ("good", plain_module(types, "f"), {"f": 0}),
        ("bad", broken_module(types, "f"), {"f": 0, "bpf_iter_bad_new": 1 << 8}),
    ]:
        ids = own_ids(Btf.parse(data, types))
        pairs = [(ids[function], bits) for function, bits in flags.items()]
        file = with_ids([("__BTF_ID__set8__kfuncs", 1, pairs)], blob=data)
        (tmp_path / f"{name}.ko").write_bytes(file)
    (tmp_path / "junk").write_bytes(plain_module(types, "no name"))
    return tmp_path


def test_a_good_module_is_explained_and_the_status_is_0(cli: Cli, files: Path) -> None:
    status, out, err = cli("btf", "policy", "-B", files / "vmlinux", files / "good.ko")

    assert (status, err) == (0, "")
    assert out.startswith("module good\n  eager   built in, checked when registered (6.18)\n")
    assert "\tloads; its BTF is there at once, id 2; 1 of 1 kfuncs usable\n" in out
    assert (
        "\tloads; its BTF is ignored; 0 of 1 kfuncs usable\n\t  f: the module has no BTF\n" in out
    )
    assert out.count("\tloads; its BTF waits for vmlinux BTF, id 2; 1 of 1 kfuncs usable\n") == 2


def test_a_broken_module_is_explained_and_the_status_is_1(cli: Cli, files: Path) -> None:
    status, out, _ = cli("btf", "policy", "-B", files / "vmlinux", files / "bad.ko")

    assert status == 1
    assert "\tloading fails with EINVAL: its kfuncs cannot be registered\n" in out
    assert "\tloads; its BTF waits for vmlinux BTF, id 2; 1 of 2 kfuncs usable\n" in out
    assert "has 4 bytes, must fill 8-byte slots" in out


def test_what_the_kernel_says_is_shown(cli: Cli, files: Path) -> None:
    status, out, _ = cli("btf", "policy", "-B", files / "vmlinux", files / "junk")

    assert status == 1
    assert "\tloading fails with EINVAL: its BTF is not accepted\n" in out
    assert "\t  dmesg: failed to validate module [junk] BTF: -22\n" in out
    assert "\tloads; its BTF is rejected when vmlinux BTF comes\n" in out


def test_the_same_as_json(cli: Cli, files: Path) -> None:
    status, out, _ = cli(
        "-j", "-B", files / "vmlinux", "btf", "policy", files / "good.ko", files / "bad.ko"
    )

    rows = json.loads(out)
    assert status == 1
    assert [(row["module"], row["policy"]) for row in rows] == [
        (module, policy)
        for module in ("good", "bad")
        for policy in ("eager", "ignore", "replay", "lazy")
    ]
    assert rows[0] == {
        "module": "good",
        "policy": "eager",
        "loads": True,
        "errno": 0,
        "btf": "parsed",
        "btf_id": 2,
        "kfuncs": [{"name": "f", "usable": True, "why": ""}],
        "log": [],
    }
    assert (rows[4]["loads"], rows[4]["errno"]) == (False, 22)


def test_two_files_of_one_module(cli: Cli, files: Path) -> None:
    status, out, _ = cli("btf", "policy", "-B", files / "vmlinux", *[files / "good.ko"] * 2)

    assert status == 1
    assert "loading fails with EEXIST: a module of that name is there already" in out


def test_without_a_base_the_emulated_kernel_stands_in_where_none_runs(
    cli: Cli, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(btf_policy, "VMLINUX", str(files / "nowhere"))

    status, out, _ = cli("btf", "policy", files / "good.ko")

    assert status == 1
    assert "its BTF is not accepted" in out  # built against other types


def test_a_file_that_is_no_module_is_status_2(cli: Cli, files: Path) -> None:
    (files / "text").write_text("hello, this is no BTF")

    assert cli("btf", "policy", "-B", files / "vmlinux", files / "text")[0] == 2
    assert cli("btf", "policy", "-B", files / "nowhere", files / "good.ko")[0] == 2
    assert cli("btf", "policy")[0] == 2
