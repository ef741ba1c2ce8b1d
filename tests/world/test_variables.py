"""Kernel variables as data: what may be written down."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from bpfemu.errors import InputError
from bpfemu.world import KernelVariable, World
from bpfemu.world.build import variable, world
from bpfemu.world.variables import TypeText, default_variables, read_type


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("int", TypeText("int")),
        ("unsigned", TypeText("unsigned int")),
        ("long unsigned int", TypeText("long unsigned int")),
        ("unsigned long", TypeText("long unsigned int")),
        ("const volatile long", TypeText("long int")),
        ("unsigned long long", TypeText("long long unsigned int")),
        ("char", TypeText("char")),
        ("u64", TypeText("u64")),
        ("struct rq", TypeText("rq", "struct")),
        ("const struct rq *", TypeText("rq", "struct", 1)),
        ("struct rq *const *", TypeText("rq", "struct", 2)),
        ("void *", TypeText("void", "", 1)),
        ("enum cpu_state", TypeText("cpu_state", "enum")),
        ("int[4]", TypeText("int", "", 0, (4,))),
        ("char [2][3]", TypeText("char", "", 0, (2, 3))),
        ("struct rq *[8]", TypeText("rq", "struct", 1, (8,))),
    ],
)
def test_simple_c_types_are_read(text: str, read: TypeText) -> None:
    assert read_type(text) == read


@pytest.mark.parametrize(
    "text",
    ["", "struct", "int foo", "struct a b", "int[", "int[0]", "int[x]", "int[2][]", "*", "1a",
     "int (*)(void)", "int *x", "unsigned struct", "int[99999999]", "int[2000][2000]",
     "long struct rq"],
)  # fmt: skip
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_type(text)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "a b"}, "must be a C identifier"),
        ({"type": "struct"}, "is no C type like"),
        ({"value": 1.5}, "is 1.5, must be a number"),
        ({"value": "text"}, "'&variable'"),
        ({"value": {"a": [1, None]}}, r"variable 'x'.a\[1\] is None"),
        ({"percpu": ()}, "must be True, False or the values"),
        ({"percpu": 3}, "percpu is 3"),
        ({"percpu": (1, {})}, ""),
    ],
)
def test_wrong_fields_are_named(fields: dict[str, Any], words: str) -> None:
    given = {"name": "x", "type": "int", **fields}
    if not words:
        KernelVariable(**given)
        return
    with pytest.raises(InputError, match=words):
        KernelVariable(**given)


def test_each_cpu_has_its_value_and_the_last_one_goes_on() -> None:
    some = KernelVariable("x", "int", percpu=(5, 6))
    assert [some.value_on(cpu) for cpu in range(4)] == [5, 6, 6, 6]
    assert KernelVariable("x", "int", 7, percpu=True).value_on(3) == 7


def test_a_name_is_there_once_in_each_module() -> None:
    one = KernelVariable("x", "int")
    World(variables=(one, KernelVariable("x", "int", module="mod")))
    with pytest.raises(InputError, match=r"world.variables: name is 'x', must be there once"):
        World(variables=(one, KernelVariable("x", "long")))


def test_worlds_with_variables_can_be_pickled_and_built_from_keywords() -> None:
    made = world(variables=(variable(name="x", type="int", value=3),))
    assert pickle.loads(pickle.dumps(made)) == made
    assert made.variables[0] == KernelVariable("x", "int", 3)
    with pytest.raises(InputError, match="variable needs 'type'"):
        variable(name="x")


def test_the_variables_of_every_kernel_are_described_only_when_they_are_per_cpu() -> None:
    made = default_variables(2)
    assert {v.name for v in made if v.typed} == {v.name for v in made if v.percpu is not False}
    assert {"runqueues", "bpf_prog_active", "init_task", "jiffies", "nr_cpu_ids"} <= {
        v.name for v in made
    }
