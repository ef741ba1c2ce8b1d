"""A world for the helpers: threads, a pid namespace, mapped files, arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

import bpfemu
from bpfemu.objects import Program
from bpfemu.skeleton import Skeleton
from bpfemu.world.spec import FileSpec, TaskSpec, VmaSpec, World
from tests.btf.test_types import VMLINUX

OBJECT = Path(__file__).parent.parent.parent / "data/skel.bpf.o"
APP = FileSpec("/usr/bin/app", (8, 1), 77)

VMAS = (
    VmaSpec(0x40_0000, 0x40_2000, "r-xp", 0, APP, content=b"\x7fELF"),
    VmaSpec(0x40_2000, 0x40_3000, "rw-p", 0x2000, APP),
    VmaSpec(0x7FF0_0000_0000, 0x7FF0_0000_4000, "---p"),
    VmaSpec(0x7FFF_0000_0000, 0x7FFF_0002_1000, "rw-p", name="[stack]"),
)


def world() -> World:
    app = TaskSpec(
        pid=40, comm="app", vmas=VMAS, threads=(41, 42), ppid=1, args=("app", "-v"), env=("A=1",)
    )
    return World(
        (
            TaskSpec(pid=1, comm="init"),
            TaskSpec(pid=2, comm="kthreadd", kthread=True, state=0x402),
            app,
            TaskSpec(pid=50, comm="inside", vpid=7, state=1),
        ),
        current=40,
    )


@pytest.fixture(params=["own", "real"])
def skel(request: pytest.FixtureRequest) -> Skeleton:
    """On our own layouts, and on those of a real kernel."""
    if request.param == "own":
        return bpfemu.open(OBJECT, world=world(), kernel="6.18.44")
    if not Path(VMLINUX).exists():
        pytest.skip("this kernel has no BTF")
    return bpfemu.open(OBJECT, world=world(), kernel="6.18.44", btf=VMLINUX)


@pytest.fixture
def prog(skel: Skeleton) -> Program:
    """Its program."""
    return skel.prog
