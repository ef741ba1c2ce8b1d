"""Subprograms into one code array (notes, section 8.10)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any

import pytest

from bpfemu.bind.link import link, source_lines
from bpfemu.errors import BindError
from bpfemu.isa.flow import func_target
from bpfemu.isa.insn import CallSub, Insn, Jump, LoadImm64, MayGoto
from bpfemu.isa.ops import Pseudo
from bpfemu.isa.text import assemble
from bpfemu.object import BpfObject, FuncDef, LineInfo, Reloc, Symbol
from bpfemu.record import replace
from tests.bind.small import image, obj


@dataclass
class Built:
    names: list[str]
    starts: dict[str, int]
    code: list[Insn]


def linked(found: BpfObject) -> Built:
    program = next(f for f in found.functions if f.name == "main")
    result = link(found, program)
    names = [part.function.name for part in result.parts]
    return Built(names, {p.function.name: p.start for p in result.parts}, result.code)


def test_functions_come_in_the_order_of_their_first_use_depth_first() -> None:
    subs = {"c": "exit", "b": "call c; exit", "a": "call b; exit", "unused": "exit"}
    built = linked(obj("call a; call c; exit", subs=subs))
    assert built.names == ["main", "a", "b", "c"]


def test_calls_go_to_where_the_function_stands() -> None:
    built = linked(
        obj("call a; call b; call a; exit", subs={"b": "r0 = 1; exit", "a": "call b; exit"})
    )
    calls = [insn.target for insn in built.code if isinstance(insn, CallSub)]
    assert built.names == ["main", "a", "b"]
    assert calls == [4, 6, 4, 6]  # main has slots 0 to 3, a 4 and 5, b from 6


def test_jumps_move_with_their_function() -> None:
    subs = {"a": "here: r0 += 1; if r0 != 3 goto here; may_goto +0; exit"}
    built = linked(obj("call a; exit", subs=subs))
    jump, may = built.code[3], built.code[4]
    assert isinstance(jump, Jump) and jump.target == 2
    assert isinstance(may, MayGoto) and may.target == 5


def test_static_functions_are_called_through_the_section_symbol() -> None:
    # clang: the symbol is .text, the immediate the distance to the function from its start - 1
    text = Symbol("", ".text", 0, 0, "section", "local")
    main = FuncDef(
        "main",
        "raw_tp",
        0,
        (CallSub(0 + 1 + 2), *assemble("exit")),
        relocs=(Reloc(0, 10, text, 2),),
    )
    first = FuncDef("first", ".text", 0, assemble("r0 = 0; r0 = 1; exit"))
    second = FuncDef("second", ".text", 3, assemble("exit"), binding="local")
    found = BpfObject("x", "x", "GPL", (first, second, main))
    assert linked(found).names == ["main", "second"]


def test_calls_within_text_need_no_relocation() -> None:
    found = obj("call a; exit", subs={"a": "exit", "b": "exit"})
    a = replace(found.functions[0], code=(CallSub(2), *assemble("exit")))
    b = replace(found.functions[1], offset=2)
    found = replace(found, functions=(a, b, *found.functions[2:]))
    assert linked(found).names == ["main", "a", "b"]


def test_addresses_of_functions_link_them_too() -> None:
    built = linked(obj("r1 = &cb ll; exit", subs={"cb": "exit"}))
    load = built.code[0]
    assert isinstance(load, LoadImm64) and load.pseudo is Pseudo.FUNC
    assert func_target(load, 0) == built.starts["cb"] == 3


def test_an_address_without_a_relocation_is_relative_to_its_place() -> None:
    code = (*assemble("r1 = func(2, 0) ll; exit"),)
    found = obj("call a; exit", subs={"a": "exit", "cb": "exit"})
    a = replace(found.functions[0], code=code)
    cb = replace(found.functions[1], offset=3)
    found = replace(found, functions=(a, cb, *found.functions[2:]))
    assert linked(found).names == ["main", "a", "cb"]


def refused(found: BpfObject) -> BindError:
    with pytest.raises(BindError) as caught:
        linked(found)
    assert caught.value.program == "main"
    return caught.value


def with_reloc(found: BpfObject, **symbol: Any) -> BpfObject:
    main = found.functions[-1]
    changed = replace(main.relocs[0], symbol=replace(main.relocs[0].symbol, **symbol))
    return replace(found, functions=(*found.functions[:-1], replace(main, relocs=(changed,))))


def test_a_call_into_another_section_is_4005() -> None:
    found = obj("call a; exit", subs={"a": "exit"})
    error = refused(with_reloc(found, section="tc"))
    assert error.errno == 4005 and "bad call relo against 'a' in section 'tc'" in str(error)


@pytest.mark.parametrize("value", [4, 8])
def test_a_call_to_no_function_is_4005(value: int) -> None:
    error = refused(with_reloc(obj("call a; exit", subs={"a": "exit"}), value=value))
    assert error.errno == 4005 and error.slot == 0


def test_an_address_inside_an_instruction_is_4005() -> None:
    error = refused(with_reloc(obj("r1 = &a ll; exit", subs={"a": "exit"}), value=4))
    assert error.errno == 4005 and "inside an insn" in str(error)


# ---- exception callbacks -----------------------------------------------------------------------


def test_an_exception_callback_comes_last() -> None:
    subs = {"late": "call a; exit", "a": "r0 = 0; exit"}
    found = image("call a; exit", subs=subs, global_subs=["late"], tags=["exception_callback:late"])
    assert [sub.name for sub in found.subprogs] == ["main", "a", "late"]
    assert found.exception_callback == found.subprogs[2].start


def test_an_exception_callback_that_is_called_stands_where_it_is_used() -> None:
    subs = {"late": "r0 = 0; exit", "a": "exit"}
    found = image(
        "call late; call a; exit",
        subs=subs,
        global_subs=["late"],
        tags=["comment:x", "exception_callback:late"],
    )
    assert [sub.name for sub in found.subprogs] == ["main", "late", "a"]
    assert found.exception_callback == 3


@pytest.mark.parametrize("global_subs", [[], ["other"]])
def test_an_exception_callback_must_be_a_global_function(global_subs: list[str]) -> None:
    found = obj("exit", subs={"late": "exit", "other": "exit"}, global_subs=global_subs)
    main = replace(found.functions[-1], tags=("exception_callback:late",))
    error = refused(replace(found, functions=(*found.functions[:-1], main)))
    assert error.errno == errno.ENOENT and "cannot find exception callback 'late'" in str(error)


# ---- source lines ------------------------------------------------------------------------------


def test_every_slot_has_the_line_of_the_last_record_before_it() -> None:
    found = obj("r0 = 0; r0 = 1; r0 = 2; call a; exit", subs={"a": "r0 = 3; exit"})
    sub, main = found.functions
    lines = (LineInfo(1, "/x/a.c", 5, 1, "  one;"), LineInfo(3, "/x/a.c", 6, 1, "two;"))
    main = replace(main, lines=lines)
    result = link(replace(found, functions=(sub, main)), main)
    assert [line.line if line else 0 for line in source_lines(result)] == [0, 5, 5, 6, 6, 0, 0]
    assert str(source_lines(result)[1]) == "a.c:5: one;"
