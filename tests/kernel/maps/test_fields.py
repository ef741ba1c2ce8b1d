"""Special fields of map values, found by BTF."""

from __future__ import annotations

from bpfemu.btf import Btf, BtfBuilder
from bpfemu.image import MapSlot
from bpfemu.kernel.maps.fields import NO_FIELDS, ValueFields, find_fields
from bpfemu.machine.memory import KERNEL, VALID, RegionKind
from bpfemu.object import MapDef
from tests.kernel.maps.env import Bench, u32


class Types:
    """A builder with an int, a lock, a timer."""

    def __init__(self) -> None:
        self.build = BtfBuilder()
        self.int = self.build.int_("int", 4)
        self.long = self.build.int_("long", 8)
        self.lock = self.build.struct("bpf_spin_lock", 4, [("val", self.int, 0)])
        self.timer = self.build.struct("bpf_timer", 16, [("a", self.long, 0), ("b", self.long, 64)])

    def done(self) -> Btf:
        return self.build.build()


def test_fields_are_listed_by_offset() -> None:
    types = Types()
    value = types.build.struct(
        "value", 24, [("t", types.timer, 64), ("n", types.int, 0), ("l", types.lock, 32)]
    )

    found = find_fields(types.done(), value)

    assert found.fields == (("bpf_spin_lock", 4, 4), ("bpf_timer", 8, 16))
    assert found.spin_lock


def test_nested_structs_arrays_and_typedefs_are_looked_into() -> None:
    types = Types()
    inner = types.build.struct("inner", 8, [("n", types.int, 0), ("l", types.lock, 32)])
    named = types.build.typedef("named", inner)
    array = types.build.array(named, types.int, 3)
    value = types.build.struct("value", 32, [("n", types.long, 0), ("a", array, 64)])

    found = find_fields(types.done(), value)

    assert [offset for _, offset, _ in found.fields] == [12, 20, 28]


def test_nesting_ends_after_four_levels() -> None:
    types = Types()
    level = types.lock
    for number in range(5):
        level = types.build.struct(f"level{number}", 4, [("m", level, 0)])

    btf = types.done()

    assert find_fields(btf, level) == NO_FIELDS
    assert find_fields(btf, level - 1).spin_lock


def test_an_array_that_holds_itself_is_not_followed_for_ever() -> None:
    types = Types()
    loop = types.build.reserve()
    from bpfemu.btf import kinds as k

    types.build.set(loop, k.Array(loop, types.int, 4))

    assert find_fields(types.done(), loop) == NO_FIELDS


def test_a_pointer_with_a_kptr_tag_is_a_field() -> None:
    types = Types()
    plain = types.build.ptr(types.int)
    kptr = types.build.ptr(types.build.type_tag("kptr", types.int))
    other = types.build.ptr(types.build.type_tag("rcu", types.int))
    nothing = types.build.ptr(0)
    value = types.build.struct(
        "value", 32, [("a", plain, 0), ("b", kptr, 64), ("c", other, 128), ("d", nothing, 192)]
    )

    assert find_fields(types.done(), value).fields == (("kptr", 8, 8),)


def test_variables_of_a_data_section_count() -> None:
    types = Types()
    plain = types.build.var("count", types.int)
    lock = types.build.var("glock", types.lock)
    section = types.build.datasec(".bss.A", 12, [(plain, 0, 4), (lock, 8, 4)])

    assert find_fields(types.done(), section).fields == (("bpf_spin_lock", 8, 4),)


def test_eleven_fields_are_the_most() -> None:
    types = Types()
    array = types.build.array(types.lock, types.int, 1_000_000_000)

    assert len(find_fields(types.done(), array).fields) == 11


def test_without_btf_or_type_there_are_none() -> None:
    types = Types()
    btf = types.done()

    assert find_fields(None, 5) is NO_FIELDS
    assert find_fields(btf, 0) is NO_FIELDS
    assert find_fields(btf, types.int) is NO_FIELDS
    plain = BtfBuilder()
    number = plain.int_("int", 4)
    assert find_fields(plain.build(), number) is NO_FIELDS


def test_what_lies_between_the_fields_is_data() -> None:
    fields = ValueFields((("bpf_spin_lock", 0, 4), ("bpf_timer", 8, 16)))

    assert list(fields.plain(28)) == [(4, 8), (24, 28)]
    assert list(fields.plain(24)) == [(4, 8)]
    assert list(NO_FIELDS.plain(5)) == [(0, 5)]
    neighbours = ValueFields((("bpf_refcount", 0, 4), ("bpf_spin_lock", 4, 4)))
    assert list(neighbours.plain(12)) == [(8, 12)]
    states = bytes([VALID] * 4 + [KERNEL] * 4)
    assert ValueFields((("kptr", 0, 4), ("bpf_spin_lock", 4, 4))).paint(VALID, 8) == states
    assert fields.blank(b"lockDATAtimertimertimertDATA") == bytes(4) + b"DATA" + bytes(16) + b"DATA"
    assert NO_FIELDS.blank(b"abc") == b"abc"


def test_a_map_learns_of_its_fields_when_it_is_created() -> None:
    types = Types()
    value = types.build.struct("value", 8, [("n", types.int, 0), ("l", types.lock, 32)])
    bench = Bench()
    handle = bench.memory.allocate(512, RegionKind.MAP, "m", state=KERNEL)
    definition = MapDef("m", 2, 4, 8, 1, key_type=types.int, value_type=value)

    found = bench.table.create(MapSlot(definition, handle.addr), types.done())

    assert found.user_update(u32(0), b"abcdLOCK", 4) == 0
    assert found.user_lookup(u32(0)) == b"abcd\0\0\0\0"
