"""Per-CPU variables."""

from __future__ import annotations

from pathlib import Path

import pytest

import bpfemu
from bpfemu.errors import InputError
from bpfemu.helpers.linux.percpu import per_cpu, per_cpu_ptr
from bpfemu.objects import Program
from bpfemu.world.spec import World
from bpfemu.world.variables import KernelVariable

OBJECT = Path(__file__).parent.parent.parent / "data/skel.bpf.o"


@pytest.fixture
def prog() -> Program:
    variables = (
        KernelVariable("counters", "unsigned long", percpu=(10, 20)),
        KernelVariable("plain", "struct list_head [2]", [{"next": 5}, {"prev": 6}]),
    )
    return bpfemu.open(OBJECT, world=World(variables=variables)).prog


def test_each_cpu_has_its_own_copy(prog: Program) -> None:
    counters = prog["counters"]

    assert [per_cpu(counters, cpu).value_() for cpu in (0, 1)] == [10, 20]
    per_cpu(counters, 1).write_(21)
    assert per_cpu_ptr(counters.address_of_(), 1)[0].value_() == 21
    assert str(per_cpu_ptr(counters.address_of_(), 1).type_) == "unsigned long *"


def test_the_address_of_a_per_cpu_variable_itself_is_nobodys(prog: Program) -> None:
    copies = {per_cpu(prog["counters"], cpu).address_ for cpu in (0, 1)}

    assert len(copies) == 2 and prog["counters"].address_ not in copies


def test_cpus_and_variables_that_are_none(prog: Program) -> None:
    for cpu in (2, -1):
        with pytest.raises(InputError, match=f"CPU {cpu}; there are 2"):
            per_cpu(prog["counters"], cpu)
    with pytest.raises(InputError, match="is not the address of a per-CPU variable"):
        per_cpu(prog["plain"], 0)


def test_plain_variables_of_the_world_have_their_type_and_value(prog: Program) -> None:
    plain = prog["plain"]

    assert str(plain.type_) == "struct list_head [2]"
    assert (plain[0].next, plain[1].prev) == (5, 6)


def test_run_queues_are_the_kernels_own(prog: Program) -> None:
    assert str(per_cpu(prog["runqueues"], 0).type_) == "struct rq"
