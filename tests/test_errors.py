"""The tree of errors: whose each is, and what its text names."""

from __future__ import annotations

import pickle

import pytest

from bpfemu import errors
from bpfemu.errors import (
    BindError,
    BodyError,
    BpfemuError,
    DeclarationError,
    DecodeError,
    DefinitionError,
    FaultError,
    InputError,
    InternalError,
    ObjectAbsentError,
    ObjectError,
)


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        (InputError, BpfemuError),
        (ObjectError, InputError),
        (DecodeError, InputError),
        (BindError, InputError),
        (FaultError, InputError),
        (ObjectAbsentError, InputError),
        (DefinitionError, BpfemuError),
        (DeclarationError, DefinitionError),
        (BodyError, DefinitionError),
        (InternalError, BpfemuError),
    ],
)
def test_an_error_stands_where_the_tree_draws_it(
    error: type[BpfemuError], parent: type[BpfemuError]
) -> None:
    assert error.__bases__ == (parent,)


def test_every_error_is_public_and_drawn() -> None:
    own = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, BpfemuError)
    }

    assert own == set(errors.__all__)
    assert all(name in (errors.__doc__ or "") for name in own)


def test_an_input_error_may_carry_the_errno_of_the_kernel() -> None:
    assert InputError("no such file", errno=2).errno == 2
    assert InputError("nonsense").errno is None


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({}, "too short"),
        ({"path": "x.o"}, "x.o: too short"),
        ({"section": ".BTF"}, ".BTF: too short"),
        ({"path": "x.o", "section": ".BTF"}, "x.o[.BTF]: too short"),
        ({"path": "x.o", "section": ".BTF", "offset": 24}, "x.o[.BTF]+0x18: too short"),
        ({"path": "x.o", "offset": 0}, "x.o+0x0: too short"),
    ],
)
def test_an_object_error_names_file_section_and_byte(where: dict[str, object], text: str) -> None:
    error = ObjectError("too short", **where, errno=22)  # type: ignore[arg-type]

    assert str(error) == text and error.errno == 22
    assert (error.path, error.section, error.offset) == tuple(
        where.get(name) for name in ("path", "section", "offset")
    )


def test_a_decode_error_names_the_slot() -> None:
    error = DecodeError("opcode 0x06 is none", slot=7)

    assert str(error) == "insn 7: opcode 0x06 is none" and error.slot == 7


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({}, "no map"),
        ({"program": "main"}, "main: no map"),
        ({"program": "main", "slot": 0}, "main insn 0: no map"),
        ({"slot": 3, "symbol": "m"}, "insn 3: no map"),
    ],
)
def test_a_bind_error_names_program_and_instruction(where: dict[str, object], text: str) -> None:
    error = BindError("no map", **where)  # type: ignore[arg-type]

    assert str(error) == text
    assert (error.program, error.slot, error.symbol) == tuple(
        where.get(name) for name in ("program", "slot", "symbol")
    )


def test_a_fault_error_knows_the_address_that_was_looked_at() -> None:
    error = FaultError("cannot read user memory at 0x1000", 0x1000)

    assert (error.address, error.errno) == (0x1000, 14)  # EFAULT


def test_definition_errors_name_the_definition() -> None:
    declared = DeclarationError("bpf_iter_x_new", "must be named otherwise")
    raised = BodyError("bpf_x", ZeroDivisionError("division by zero"))

    assert str(declared) == "bpf_iter_x_new: must be named otherwise"
    assert (declared.name, declared.rule) == ("bpf_iter_x_new", "must be named otherwise")
    assert str(raised) == "bpf_x: its body raised ZeroDivisionError: division by zero"
    assert raised.name == "bpf_x"


def test_an_input_error_survives_being_sent_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(InputError("no such file", errno=2)))

    assert str(error) == "no such file" and error.errno == 2
