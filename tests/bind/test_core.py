"""CO-RE relocations: every kind, every refusal (notes, section 10)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bpfemu.bind.core import POISON_IMM, relocate_core
from bpfemu.bind.core_spec import match_spec, parse_spec, spec_text
from bpfemu.bind.link import Linked
from bpfemu.btf import Btf, BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.errors import BindError, InputError
from bpfemu.isa.insn import Alu, Atomic, Call, Imm, Insn, Load, LoadImm64, Store
from bpfemu.isa.text import assemble
from bpfemu.object import CoreRelo

(
    BYTE_OFF,
    BYTE_SIZE,
    FIELD_EXISTS,
    SIGNED,
    LSHIFT,
    RSHIFT,
    LOCAL_ID,
    TARGET_ID,
    TYPE_EXISTS,
    TYPE_SIZE,
    ENUM_EXISTS,
    ENUM_VALUE,
    TYPE_MATCHES,
) = range(13)


class Types:
    """A BTF in the making, with the usual numbers."""

    def __init__(self) -> None:
        self.btf = BtfBuilder()
        self.int = self.btf.int_("int", 4, k.IntEncoding.SIGNED)
        self.u32 = self.btf.int_("unsigned int", 4)
        self.u64 = self.btf.int_("unsigned long", 8)
        self.char = self.btf.int_("char", 1, k.IntEncoding.SIGNED)
        self.ptr = self.btf.ptr(0)
        self.ids: dict[str, int] = {}

    def struct(self, name: str, size: int, *members: tuple[Any, ...]) -> Types:
        """Members are (name, type, bit offset[, bit size])."""
        self.ids[name] = self.btf.struct(name, size, members)
        return self

    def build(self) -> Btf:
        return self.btf.build("types")


def relocate(
    code: str | tuple[Insn, ...],
    local: Types,
    kernel: Types,
    type_id: int,
    access: str,
    kind: int,
    modules: Mapping[str, Btf] | None = None,
) -> tuple[Insn, dict[int, str]]:
    """The first instruction after one relocation, and what was poisoned."""
    insns = assemble(code) if isinstance(code, str) else code
    linked = Linked("prog", list(insns), core_relos=[CoreRelo(0, type_id, access, kind)])
    poisoned = relocate_core(linked, local.build(), kernel.build(), modules or {})
    return linked.code[0], poisoned


def refused(*arguments: Any) -> BindError:
    with pytest.raises(BindError) as caught:
        relocate(*arguments)
    assert caught.value.program == "prog" and caught.value.slot == 0
    return caught.value


def value(local: Types, kernel: Types, type_id: int, access: str, kind: int, old: int = 0) -> int:
    """What the relocation puts into ``r1 = old``."""
    insn, poisoned = relocate(f"r1 = {old}", local, kernel, type_id, access, kind)
    assert isinstance(insn, Alu) and isinstance(insn.src, Imm) and not poisoned
    return insn.src.value


def task(at: int, *, size: int = 64) -> Types:
    """A task_struct whose pid is at byte ``at``."""
    types = Types()
    return types.struct("task_struct", size, ("pid", types.int, 8 * at))


# ---- fields ------------------------------------------------------------------------------------


def test_a_fields_offset_becomes_the_kernels() -> None:
    local, kernel = task(0), task(48)
    insn, _ = relocate("r1 = *(u32 *)(r2 + 0)", local, kernel, local.ids["task_struct"], "0:0", 0)
    assert insn == Load(4, False, insn.dst, insn.base, 48)  # type: ignore[union-attr]


def test_offsets_in_immediates_and_stores_are_patched_too() -> None:
    local, kernel = task(0), task(48)
    id = local.ids["task_struct"]
    assert value(local, kernel, id, "0:0", BYTE_OFF) == 48
    store, _ = relocate("*(u32 *)(r1 + 0) = 1", local, kernel, id, "0:0", BYTE_OFF)
    assert isinstance(store, Store) and store.offset == 48
    atomic, _ = relocate("lock *(u32 *)(r1 + 0) += r2", local, kernel, id, "0:0", BYTE_OFF)
    assert isinstance(atomic, Atomic) and atomic.offset == 48
    wide, _ = relocate("r1 = 0 ll", local, kernel, id, "0:0", BYTE_OFF)
    assert isinstance(wide, LoadImm64) and wide.value == 48


def test_a_pointer_as_array_adds_whole_structs() -> None:
    local, kernel = task(0, size=8), task(4, size=100)
    assert value(local, kernel, local.ids["task_struct"], "2:0", BYTE_OFF, 16) == 204


def nested(*, anonymous: bool, at: int) -> Types:
    types = Types()
    inner = types.btf.struct(
        "" if anonymous else "in", 8, [("a", types.u32, 0), ("b", types.u32, 32)]
    )
    members = [("" if anonymous else "in", inner, 8 * at), ("c", types.u64, 8 * at + 64)]
    return types.struct("s", at + 16, *members)


def test_members_of_anonymous_structs_are_found_by_name_alone() -> None:
    local = nested(anonymous=True, at=0)
    kernel = Types()
    kernel.struct("s", 32, ("c", kernel.u64, 0), ("b", kernel.u32, 128))
    assert value(local, kernel, local.ids["s"], "0:0:1", BYTE_OFF, 4) == 16
    assert value(kernel, local, kernel.ids["s"], "0:1", BYTE_OFF, 16) == 4


def test_named_steps_are_followed_one_by_one() -> None:
    local, kernel = nested(anonymous=False, at=0), nested(anonymous=False, at=8)
    assert value(local, kernel, local.ids["s"], "0:0:1", BYTE_OFF, 4) == 12


def array(length: int, *, at: int = 0, elem: str = "u32") -> Types:
    types = Types()
    made = types.btf.array(getattr(types, elem), types.int, length)
    size = length * (8 if elem == "u64" else 4)
    return types.struct("s", at + size, ("x", types.u32, 0), ("a", made, 8 * at))


def test_array_elements_are_counted_in_the_kernels_size() -> None:
    local, kernel = array(4, at=4), array(8, at=8, elem="u64")
    assert value(local, kernel, local.ids["s"], "0:1:3", BYTE_OFF, 16) == 32
    assert value(local, kernel, local.ids["s"], "0:1:3", BYTE_SIZE, 4) == 8


def test_an_index_beyond_the_kernels_array_poisons() -> None:
    local, kernel = array(4, at=4), array(2, at=4)
    _, poisoned = relocate("r1 = 16", local, kernel, local.ids["s"], "0:1:3", BYTE_OFF)
    assert list(poisoned) == [0]


def test_a_flexible_array_has_every_index() -> None:
    local, kernel = array(4, at=4), array(0, at=8)
    assert value(local, kernel, local.ids["s"], "0:1:3", BYTE_OFF, 16) == 20
    assert value(kernel, kernel, kernel.ids["s"], "0:1:9", BYTE_OFF, 44) == 44


def test_other_questions_about_array_elements_are_einval() -> None:
    local = array(4, at=4)
    error = refused("r1 = 0", local, array(4, at=4), local.ids["s"], "0:1:1", SIGNED)
    assert error.errno == errno.EINVAL and "can't be applied to array access" in str(error)


def test_existence_size_and_sign() -> None:
    local = Types()
    local.struct("s", 16, ("a", local.int, 0), ("b", local.u64, 64), ("gone", local.int, 32))
    kernel = Types()
    kernel.struct("s", 16, ("b", kernel.u32, 0), ("a", kernel.int, 64))
    id = local.ids["s"]
    assert value(local, kernel, id, "0:0", FIELD_EXISTS, 1) == 1
    assert value(local, kernel, id, "0:2", FIELD_EXISTS, 1) == 0
    assert value(local, kernel, id, "0:1", BYTE_SIZE, 8) == 4
    assert value(local, kernel, id, "0:0", SIGNED, 1) == 1
    assert value(local, kernel, id, "0:1", SIGNED, 0) == 0


def test_signed_enums_are_signed() -> None:
    types = Types()
    types.struct("s", 4, ("e", types.btf.enum("", 4, [("A", -1)], signed=True), 0))
    assert value(types, types, types.ids["s"], "0:0", SIGNED, 1) == 1


@pytest.mark.parametrize("kind", [BYTE_OFF, BYTE_SIZE, SIGNED, LSHIFT, RSHIFT])
def test_a_missing_field_poisons_with_a_call_of_0xbad2310(kind: int) -> None:
    local, kernel = task(0), Types()
    kernel.struct("task_struct", 8, ("tgid", kernel.int, 0))
    insn, poisoned = relocate("r1 = 0", local, kernel, local.ids["task_struct"], "0:0", kind)
    assert insn == Call("helper", POISON_IMM) and POISON_IMM == 195896080 == 0xBAD2310
    assert poisoned[0].startswith(
        "<invalid CO-RE relocation> failed to resolve CO-RE relocation "
        f"<{['byte_off', 'byte_sz', '', 'signed', 'lshift_u64', 'rshift_u64'][kind]}> "
    )
    assert poisoned[0].endswith("struct task_struct.pid (0:0 @ offset 0)")


def test_both_halves_of_a_wide_load_are_poisoned() -> None:
    local, kernel = task(0), Types()
    linked = Linked("prog", list(assemble("r1 = 0 ll; exit")))
    linked.core_relos = [CoreRelo(0, local.ids["task_struct"], "0:0", BYTE_OFF)]
    poisoned = relocate_core(linked, local.build(), kernel.build(), {})
    assert list(poisoned) == [0, 1]
    assert linked.code[0] == linked.code[1] == Call("helper", POISON_IMM)


def test_a_member_of_another_kind_is_no_match() -> None:
    local, kernel = task(0), Types()
    kernel.struct("task_struct", 8, ("pid", kernel.ptr, 0))
    assert value(local, kernel, local.ids["task_struct"], "0:0", FIELD_EXISTS, 1) == 0


def test_a_step_into_what_is_no_struct_is_no_match() -> None:
    local, kernel = nested(anonymous=False, at=0), Types()
    kernel.struct("s", 8, ("in", kernel.ptr, 0))
    assert value(local, kernel, local.ids["s"], "0:0:1", FIELD_EXISTS, 1) == 0
    numbers, plain = array(4, at=4), Types()
    plain.struct("s", 8, ("a", plain.u32, 0))
    assert value(numbers, plain, numbers.ids["s"], "0:1:1", FIELD_EXISTS, 1) == 0


# ---- bit fields --------------------------------------------------------------------------------


def bits(first: int, width: int, *, elem: str = "u32") -> Types:
    types = Types()
    return types.struct("s", 16, ("f", getattr(types, elem), first, width))


@pytest.mark.parametrize(
    ("first", "width", "offset", "size", "left", "right"),
    [
        # (bit, width) -> byte offset, load size, 64 - (bit + width - 8 * offset), 64 - width
        (3, 5, 0, 4, 56, 59),
        (35, 7, 4, 4, 54, 57),
        (30, 6, 0, 8, 28, 58),  # crosses a word: the load doubles
    ],
)
def test_bit_fields_are_loaded_from_their_container(
    first: int, width: int, offset: int, size: int, left: int, right: int
) -> None:
    local, kernel = bits(0, 1), bits(first, width)
    id = local.ids["s"]
    assert value(local, kernel, id, "0:0", BYTE_OFF) == offset
    assert value(local, kernel, id, "0:0", BYTE_SIZE) == size
    assert value(local, kernel, id, "0:0", LSHIFT) == left
    assert value(local, kernel, id, "0:0", RSHIFT, 63) == right  # 64 - 1: checked


def test_a_bit_field_that_no_load_covers_is_e2big() -> None:
    local = bits(0, 1)
    error = refused("r1 = 0", local, bits(60, 8, elem="u64"), local.ids["s"], "0:0", BYTE_OFF)
    assert error.errno == errno.E2BIG and "can't be satisfied for bitfield" in str(error)


def test_a_plain_field_shifts_out_what_is_above_it() -> None:
    local = task(0)
    assert value(local, task(4), local.ids["task_struct"], "0:0", LSHIFT, 32) == 32
    assert value(local, task(4), local.ids["task_struct"], "0:0", RSHIFT, 32) == 32


# ---- access width ------------------------------------------------------------------------------


def field(type_: str, size: int) -> Types:
    types = Types()
    return types.struct("s", 16, ("f", getattr(types, type_), 64))


def test_unsigned_loads_follow_the_fields_width() -> None:
    local, kernel = field("u32", 4), field("u64", 8)
    insn, _ = relocate("r1 = *(u32 *)(r2 + 8)", local, kernel, local.ids["s"], "0:0", BYTE_OFF)
    assert isinstance(insn, Load) and (insn.size, insn.offset) == (8, 8)


def test_signed_fields_of_another_width_poison() -> None:
    local, kernel = field("int", 4), field("u64", 8)
    insn, poisoned = relocate(
        "r1 = *(u32 *)(r2 + 8)", local, kernel, local.ids["s"], "0:0", BYTE_OFF
    )
    assert isinstance(insn, Call) and "accesses field incorrectly" in poisoned[0]


def test_the_width_matters_to_loads_only() -> None:
    local, kernel = field("int", 4), field("u64", 8)
    assert value(local, kernel, local.ids["s"], "0:0", BYTE_OFF, 8) == 8


def test_a_load_of_another_width_than_its_field_is_einval_when_the_field_changed() -> None:
    local, kernel = field("u32", 4), field("u64", 8)
    error = refused("r1 = *(u8 *)(r2 + 8)", local, kernel, local.ids["s"], "0:0", BYTE_OFF)
    assert "unexpected mem size: got 1, exp 4" in str(error)


def test_a_width_that_no_load_has_is_einval() -> None:
    local, kernel = field("u32", 4), Types()
    kernel.struct("s", 32, ("f", kernel.btf.int_("u128", 16), 64))
    error = refused("r1 = *(u32 *)(r2 + 8)", local, kernel, local.ids["s"], "0:0", BYTE_OFF)
    assert "unexpected new mem size: 16" in str(error)


def test_an_offset_beyond_16_bits_is_erange() -> None:
    local, kernel = task(0), task(40000, size=50000)
    error = refused("r1 = *(u32 *)(r2 + 0)", local, kernel, local.ids["task_struct"], "0:0", 0)
    assert error.errno == errno.ERANGE and "value too big: 40000" in str(error)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("r1 = 7", "ALU/ALU64"),
        ("r1 = *(u32 *)(r2 + 7)", "LDX/ST/STX"),
        ("r1 = 7 ll", "LDIMM64"),
    ],
)
def test_an_instruction_with_another_value_than_expected_is_einval(code: str, what: str) -> None:
    local = task(0)
    error = refused(code, local, task(48), local.ids["task_struct"], "0:0", BYTE_OFF)
    assert error.errno == errno.EINVAL
    assert f"unexpected insn ({what}) value: got 7, exp 0 -> 48" in str(error)


@pytest.mark.parametrize("code", ["r1 = r2", "exit", "r1 = (s8)r2"])
def test_other_instructions_cannot_be_relocated(code: str) -> None:
    local = task(0)
    error = refused(code, local, task(48), local.ids["task_struct"], "0:0", BYTE_OFF)
    assert error.errno == errno.EINVAL and "unrecognized insn" in str(error)


# ---- types -------------------------------------------------------------------------------------


def test_type_questions() -> None:
    local, kernel = task(0, size=8), task(0, size=64)
    id, target = local.ids["task_struct"], kernel.ids["task_struct"]
    assert value(local, kernel, id, "0", TYPE_EXISTS, 1) == 1
    assert value(local, kernel, id, "0", TYPE_SIZE, 8) == 64
    assert value(local, kernel, id, "0", LOCAL_ID, id) == id
    assert value(local, kernel, id, "0", TARGET_ID, id) == target
    assert value(local, kernel, id, "0", TYPE_MATCHES, 1) == 1


def test_types_that_are_not_there_give_zero_not_poison() -> None:
    local, kernel = task(0), Types()
    id = local.ids["task_struct"]
    for kind, old in [(TYPE_EXISTS, 1), (TYPE_SIZE, 64), (TARGET_ID, id), (TYPE_MATCHES, 1)]:
        assert value(local, kernel, id, "0", kind, old) == 0


def test_a_type_that_lacks_a_member_exists_but_does_not_match() -> None:
    local, kernel = task(0), Types()
    kernel.struct("task_struct", 8, ("tgid", kernel.int, 0))
    id = local.ids["task_struct"]
    assert value(local, kernel, id, "0", TYPE_EXISTS, 1) == 1
    assert value(local, kernel, id, "0", TYPE_MATCHES, 1) == 0


# ---- enums -------------------------------------------------------------------------------------


def enum(*values: tuple[str, int], wide: bool = False) -> Types:
    types = Types()
    make = types.btf.enum64 if wide else types.btf.enum
    types.ids["e"] = make("e", 8 if wide else 4, values)
    return types


def test_enumerators_are_found_by_name() -> None:
    local, kernel = enum(("A", 0), ("B", 1), ("C", 2)), enum(("B", 7), ("A", 9))
    id = local.ids["e"]
    assert value(local, kernel, id, "1", ENUM_EXISTS, 1) == 1
    assert value(local, kernel, id, "1", ENUM_VALUE, 1) == 7
    assert value(local, kernel, id, "2", ENUM_EXISTS, 1) == 0


def test_an_enum_and_an_enum64_stand_for_each_other() -> None:
    local, kernel = enum(("A", 0)), enum(("A", 1 << 40), wide=True)
    insn, _ = relocate("r1 = 0 ll", local, kernel, local.ids["e"], "0", ENUM_VALUE)
    assert isinstance(insn, LoadImm64) and insn.value == 1 << 40


def test_an_enumerators_flavour_is_left_out_of_the_comparison() -> None:
    local = enum(("A___old", 0))
    assert value(local, enum(("A", 3)), local.ids["e"], "0", ENUM_VALUE) == 3


def test_a_missing_enumerator_poisons_its_value() -> None:
    local = enum(("A", 5))
    _, poisoned = relocate("r1 = 5", local, enum(("B", 5)), local.ids["e"], "0", ENUM_VALUE)
    assert poisoned[0].endswith("<enumval_value> [6] enum e::A = 5")


def test_a_candidate_that_is_no_enum_is_no_match() -> None:
    local = enum(("A", 5))
    spec = parse_spec(local.build(), local.ids["e"], "0", ENUM_EXISTS)
    other = task(0)
    assert match_spec(spec, other.build(), other.ids["task_struct"]) is None


# ---- candidates --------------------------------------------------------------------------------


def test_flavours_are_left_out_on_both_sides() -> None:
    local, kernel = Types(), Types()
    local.struct("task_struct___mine", 8, ("pid", local.int, 0))
    kernel.struct("task_struct", 64, ("pid", kernel.int, 128))
    assert value(local, kernel, local.ids["task_struct___mine"], "0:0", BYTE_OFF) == 16


def test_candidates_that_agree_are_one() -> None:
    local, kernel = task(0), task(16)
    kernel.struct("task_struct___copy", 64, ("pid", kernel.int, 128))
    assert value(local, kernel, local.ids["task_struct"], "0:0", BYTE_OFF) == 16


def test_candidates_at_different_offsets_are_ambiguous() -> None:
    local, kernel = task(0), task(16)
    kernel.struct("task_struct___copy", 64, ("pid", kernel.int, 256))
    error = refused("r1 = 0", local, kernel, local.ids["task_struct"], "0:0", BYTE_OFF)
    assert error.errno == errno.EINVAL and "field offset ambiguity: 256 != 128" in str(error)


def test_candidates_of_different_values_are_ambiguous() -> None:
    local, kernel = task(0), task(16)
    kernel.struct("task_struct___copy", 64, ("pid", kernel.u32, 128))
    error = refused("r1 = 1", local, kernel, local.ids["task_struct"], "0:0", SIGNED)
    assert "relocation decision ambiguity: success 0 != success 1" in str(error)


def test_a_candidate_without_the_field_is_left_out_for_good() -> None:
    # libbpf keeps the pruned list: later relocations on the type see only what matched
    local, kernel = task(0), task(16)
    kernel.struct("task_struct___other", 128, ("tgid", kernel.int, 0))
    id = local.ids["task_struct"]
    linked = Linked("prog", list(assemble("r1 = 0; r2 = 64")))
    linked.core_relos = [CoreRelo(0, id, "0:0", BYTE_OFF), CoreRelo(1, id, "0", TYPE_SIZE)]
    relocate_core(linked, local.build(), kernel.build(), {})
    assert linked.code[1] == Alu(linked.code[1].op, 64, linked.code[1].dst, Imm(64))  # type: ignore[union-attr]


def test_modules_are_searched_when_the_kernel_has_no_candidate() -> None:
    local, kernel = task(0), Types()
    base = kernel.build()
    split = BtfBuilder(base)
    split.struct("task_struct", 64, [("pid", kernel.int, 192)])
    linked = Linked("prog", list(assemble("r1 = 0")))
    linked.core_relos = [CoreRelo(0, local.ids["task_struct"], "0:0", BYTE_OFF)]
    relocate_core(linked, local.build(), base, {"mod": split.build("mod")})
    assert linked.code[0].src == Imm(24)  # type: ignore[union-attr]


def test_a_nameless_type_has_no_candidates() -> None:
    local = Types()
    local.struct("", 8, ("a", local.int, 0))
    error = refused("r1 = 0", local, Types(), local.ids[""], "0:0", BYTE_OFF)
    assert error.errno == errno.EINVAL and "target candidate search failed" in str(error)


# ---- access strings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "kind", "number", "words"),
    [
        ("", BYTE_OFF, errno.EINVAL, "not numbers"),
        (":0", BYTE_OFF, errno.EINVAL, "not numbers"),
        ("0:", BYTE_OFF, errno.EINVAL, "not numbers"),
        ("0:x", BYTE_OFF, errno.EINVAL, "not numbers"),
        ("0:-1", BYTE_OFF, errno.EINVAL, "not numbers"),
        ("0:²", BYTE_OFF, errno.EINVAL, "not numbers"),
        (":".join("0" * 65), BYTE_OFF, errno.E2BIG, "65 items"),
        ("9" * 5000, BYTE_OFF, errno.E2BIG, "at most 64"),
        ("0:7", BYTE_OFF, errno.EINVAL, "member 7"),
        ("0:0:0", BYTE_OFF, errno.EINVAL, "unexpected kind INT"),
        ("0:0", TYPE_SIZE, errno.EINVAL, "must be '0'"),
        ("0", ENUM_VALUE, errno.EINVAL, "enumerator"),
        ("0", 13, errno.EINVAL, "unrecognized CO-RE relocation kind 13"),
    ],
)
def test_impossible_access_strings(access: str, kind: int, number: int, words: str) -> None:
    local = task(0)
    error = refused("r1 = 0", local, task(0), local.ids["task_struct"], access, kind)
    assert error.errno == number and words in str(error)


def test_an_index_beyond_the_local_array_is_einval() -> None:
    local = array(4, at=4)
    assert "element 4" in str(refused("r1 = 0", local, local, local.ids["s"], "0:1:4", BYTE_OFF))


@pytest.mark.parametrize("id", [0, 99])
def test_a_bad_type_id_is_einval(id: int) -> None:
    assert f"bad type id {id}" in str(refused("r1 = 0", task(0), task(0), id, "0:0", BYTE_OFF))


def test_an_enumerator_beyond_the_enum_is_einval() -> None:
    local = enum(("A", 0))
    assert refused("r1 = 0", local, local, local.ids["e"], "1", ENUM_VALUE).errno == errno.EINVAL


def test_kernel_types_nested_without_end_are_refused() -> None:
    local, kernel = task(0), Types()
    outer = kernel.int
    for _ in range(80):
        outer = kernel.btf.struct("", 4, [("", outer, 0)])
    kernel.struct("task_struct", 4, ("", outer, 0))
    error = refused("r1 = 0", local, kernel, local.ids["task_struct"], "0:0", BYTE_OFF)
    assert error.errno == errno.E2BIG


def test_without_types_or_records_nothing_happens() -> None:
    linked = Linked("prog", list(assemble("exit")))
    assert relocate_core(linked, None, Types().build(), {}) == {}
    linked.core_relos = [CoreRelo(0, 1, "0", 8)]
    assert relocate_core(linked, None, Types().build(), {}) == {}


@pytest.mark.parametrize(
    ("make", "access", "kind", "text"),
    [
        (
            lambda: task(1264, size=2000),
            "0:0",
            0,
            "<byte_off> [6] struct task_struct.pid (0:0 @ offset 1264)",
        ),
        (lambda: array(4, at=4), "1:1:2", 1, "<byte_sz> [7] struct s[1].a[2] (1:1:2 @ offset 32)"),
        (lambda: bits(35, 7), "0:0", 4, "<lshift_u64> [6] struct s.f (0:0 @ offset 4.3)"),
        (lambda: task(0), "0", 9, "<type_size> [6] struct task_struct"),
        (lambda: enum(("A", 5)), "0", 10, "<enumval_exists> [6] enum e::A = 5"),
    ],
)
def test_paths_are_printed_as_libbpf_prints_them(
    make: Callable[[], Types], access: str, kind: int, text: str
) -> None:
    types = make()
    (id,) = types.ids.values()
    assert spec_text(parse_spec(types.build(), id, access, kind)) == text


def test_nameless_types_are_printed_as_such() -> None:
    types = Types()
    types.struct("", 4, ("a", types.int, 0))
    spec = parse_spec(types.build(), types.ids[""], "0:0", 2)
    assert spec_text(spec) == "<field_exists> [6] struct <anon>.a (0:0 @ offset 0)"


def test_errors_of_the_kernels_types_name_the_relocation() -> None:
    local, kernel = task(0), Types()
    kernel.struct("task_struct", 8, ("pid", 77, 0))
    error = refused("r1 = 0", local, kernel, local.ids["task_struct"], "0:0", BYTE_OFF)
    assert str(error).startswith("prog insn 0: CO-RE relocation <byte_off> [6] + 0:0: ")
    assert isinstance(error.__cause__, InputError)
