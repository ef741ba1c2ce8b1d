"""Map definitions by BTF, each broken in one way (notes, section 8.6)."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from bpfemu.btf import BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.elf import read_object
from bpfemu.errors import ObjectError
from bpfemu.object import MapDef
from tests.builders.elf import ElfBuilder

ARRAY_OF_MAPS, HASH_OF_MAPS, PROG_ARRAY = 12, 13, 3


class Maps:
    """A .maps section in the making: members are (name, type id)."""

    def __init__(self) -> None:
        self.btf = BtfBuilder()
        self.int = self.btf.int_("int", 4, 1)
        self.u64 = self.btf.int_("long", 8)
        self.entries: list[tuple[int, int, int]] = []
        self.elf = ElfBuilder()
        self.size = 0

    def number(self, value: int) -> int:
        """``int (*name)[value]``."""
        return self.btf.ptr(self.btf.array(self.int, self.int, value))

    def pointer(self, target: int) -> int:
        return self.btf.ptr(target)

    def members(self, **types: int) -> int:
        """A struct of 8-byte members."""
        rows = [(name, type_, 64 * at) for at, (name, type_) in enumerate(types.items())]
        return self.btf.struct("", 8 * len(rows), rows)

    def add(self, name: str, struct: int, *, linkage: int = k.Linkage.GLOBAL) -> Maps:
        found = self.btf._types[struct - 1]
        size = getattr(found, "size", 8)
        self.entries.append((self.btf.var(name, struct, linkage), self.size, size))
        self.size += size
        return self

    def build(self, *, section: str = ".maps", size: int | None = None) -> bytes:
        self.btf.datasec(section, self.size, self.entries)
        data = bytes(self.size if size is None else size)
        self.elf.section(section, data).section(".BTF", self.btf.encode())
        for at, (var, offset, length) in enumerate(self.entries):
            name = getattr(self.btf._types[var - 1], "name", "") or f"x{at}"
            self.elf.symbol(name, section, offset, length)
        return self.elf.build()

    def read(self) -> dict[str, MapDef]:
        return {found.name: found for found in read_object(self.build(), "m.o").maps}

    def refused(self, **keywords: int) -> ObjectError:
        with pytest.raises(ObjectError) as caught:
            read_object(self.build(**keywords), "m.o")  # type: ignore[arg-type]
        assert caught.value.path == "m.o" and caught.value.section == ".maps"
        return caught.value


def one(**types: Callable[[Maps], int]) -> Maps:
    """One map ``m`` of these members."""
    maps = Maps()
    return maps.add("m", maps.members(**{name: make(maps) for name, make in types.items()}))


def num(value: int) -> Callable[[Maps], int]:
    return lambda maps: maps.number(value)


def ptr(field: str) -> Callable[[Maps], int]:
    return lambda maps: maps.pointer(getattr(maps, field))


def test_every_number_lands_in_its_field() -> None:
    maps = one(
        type=num(1),
        key_size=num(4),
        value_size=num(24),
        max_entries=num(7),
        map_flags=num(128),
        numa_node=num(2),
        pinning=num(1),
        map_extra=num(9),
    )

    assert maps.read()["m"] == MapDef(
        name="m",
        type=1,
        key_size=4,
        value_size=24,
        max_entries=7,
        flags=128,
        numa_node=2,
        pinning=1,
        map_extra=9,
    )


def test_types_give_sizes_and_ids() -> None:
    maps = one(type=num(2), key=ptr("int"), value=ptr("u64"))

    found = maps.read()["m"]

    assert (found.key_size, found.value_size) == (4, 8)
    assert (found.key_type, found.value_type) == (maps.int, maps.u64)


def test_sizes_may_be_said_twice_alike() -> None:
    assert one(type=num(2), key_size=num(4), key=ptr("int")).read()["m"].key_size == 4


@pytest.mark.parametrize("first", ["type", "size"])
def test_sizes_that_contradict_are_einval(first: str) -> None:
    order = {"key_size": num(8), "key": ptr("int")}
    if first == "type":
        order = {"key": ptr("int"), "key_size": num(8)}
    error = one(type=num(2), **order).refused()
    assert error.errno == errno.EINVAL and "conflicting key size" in str(error)


def test_map_extra_may_be_an_enum_of_one_64_bit_value() -> None:
    maps = one(type=num(1), map_extra=lambda m: m.btf.enum64("", 8, [("x", 1 << 40)]))
    assert maps.read()["m"].map_extra == 1 << 40


def test_an_enum_of_two_values_is_no_map_extra() -> None:
    maps = one(type=num(1), map_extra=lambda m: m.btf.enum("", 4, [("x", 1), ("y", 2)]))
    assert maps.refused().errno == errno.EINVAL


@pytest.mark.parametrize("types", [{}, {"type": num(0)}], ids=["never given", "zero"])
def test_a_map_without_a_type_is_einval(types: dict[str, Callable[[Maps], int]]) -> None:
    error = one(max_entries=num(1), **types).refused()
    assert error.errno == errno.EINVAL and "map type isn't specified" in str(error)


def test_an_unknown_field_is_enotsup() -> None:
    error = one(type=num(1), colour=num(1)).refused()
    assert error.errno == errno.ENOTSUP and "unknown field 'colour'" in str(error)


@pytest.mark.parametrize("value", [2, 3])
def test_pinning_is_none_or_by_name(value: int) -> None:
    assert one(type=num(1), pinning=num(value)).refused().errno == errno.EINVAL


def test_a_number_that_is_no_pointer_says_what_it_is() -> None:
    error = one(type=lambda maps: maps.int).refused()
    assert "attr 'type': expected PTR, got INT" in str(error)


def test_a_number_that_points_to_no_array_says_what_it_is() -> None:
    assert "expected ARRAY, got INT" in str(one(type=ptr("int")).refused())


def test_a_key_that_is_no_pointer_is_einval() -> None:
    assert one(type=num(1), key=lambda m: m.int).refused().errno == errno.EINVAL


def test_a_key_without_a_size_is_einval() -> None:
    error = one(type=num(1), key=lambda m: m.btf.ptr(0)).refused()
    assert error.errno == errno.EINVAL and "can't determine key size" in str(error)


def test_a_static_map_is_eopnotsupp() -> None:
    maps = Maps()
    maps.add("m", maps.members(type=maps.number(1)), linkage=k.Linkage.STATIC)
    error = maps.refused()
    assert error.errno == errno.EOPNOTSUPP and "map linkage static" in str(error)


def test_a_map_without_a_name_is_einval() -> None:
    maps = Maps()
    maps.add("", maps.members(type=maps.number(1)), linkage=k.Linkage.STATIC)
    assert maps.refused().errno == errno.EINVAL


def test_a_map_that_is_no_struct_is_einval() -> None:
    maps = Maps()
    assert "expected a struct, got INT" in str(maps.add("m", maps.u64).refused())


def test_a_struct_larger_than_its_variable_is_einval() -> None:
    maps = one(type=num(1), max_entries=num(1))
    var, offset, _ = maps.entries[0]
    maps.entries[0] = (var, offset, 8)
    assert "struct of 16 bytes in a variable of 8" in str(maps.refused())


def test_a_map_beyond_its_section_is_einval() -> None:
    assert one(type=num(1), max_entries=num(1)).refused(size=8).errno == errno.EINVAL


def test_maps_without_btf_are_enoent_in_libbpfs_words() -> None:
    with pytest.raises(ObjectError, match="BTF is required, but is missing or corrupted") as caught:
        read_object(ElfBuilder().section(".maps", bytes(8)).build())
    assert caught.value.errno == errno.ENOENT


def test_maps_with_broken_btf_say_what_is_broken() -> None:
    builder = ElfBuilder().section(".maps", bytes(8)).section(".BTF", b"\x9f\xeb\x01\x00")
    with pytest.raises(ObjectError, match="BTF is required"):
        read_object(builder.build())


def test_a_maps_section_that_btf_does_not_list_is_enoent() -> None:
    builder = ElfBuilder().section(".maps", bytes(8)).section(".BTF", Maps().btf.encode())
    with pytest.raises(ObjectError, match="no DATASEC") as caught:
        read_object(builder.build())
    assert caught.value.errno == errno.ENOENT


# ---- values: maps of maps and of programs ------------------------------------------------------


def nested(kind: int, *, key: int = 4, pinned: bool = False, deeper: bool = False) -> Maps:
    """``outer`` with a template, and a map ``target`` to put into it."""
    maps = Maps()
    inside = {"type": maps.number(2), "max_entries": maps.number(1)}
    if pinned:
        inside["pinning"] = maps.number(1)
    if deeper:
        inside["values"] = maps.btf.array(maps.pointer(maps.u64), maps.int, 0)
    inner = maps.members(**inside)
    maps.add("target", maps.members(type=maps.number(2), max_entries=maps.number(1)))
    values = maps.btf.array(maps.pointer(inner), maps.int, 0)
    rows = [
        ("type", maps.number(kind), 0),
        ("key_size", maps.number(key), 64),
        ("max_entries", maps.number(4), 128),
        ("values", values, 192),
    ]
    outer = maps.btf.struct("", 24, rows)
    return maps.add("outer", outer)


def test_an_inner_map_is_a_template_and_values_take_four_bytes() -> None:
    found = nested(ARRAY_OF_MAPS).read()["outer"]
    assert found.value_size == 4
    assert found.inner == MapDef(name="", type=2, max_entries=1)


def test_relocations_of_values_are_first_contents() -> None:
    maps = nested(ARRAY_OF_MAPS)
    values_at = 16 + 24  # ``target`` takes 16 bytes, ``values`` stands at byte 24 of ``outer``
    maps.size += 16
    maps.elf.reloc(".maps", values_at, 1, 2).reloc(".maps", values_at + 8, 1, 2)
    assert maps.read()["outer"].slots == ((0, "target"), (1, "target"))


@pytest.mark.parametrize("offset", [0, 20, 1])
def test_a_relocation_outside_values_is_einval(offset: int) -> None:
    maps = nested(ARRAY_OF_MAPS)
    maps.elf.reloc(".maps", offset, 1, 2)
    assert maps.refused().errno == errno.EINVAL


def test_a_relocation_against_a_symbol_that_is_not_there_is_einval() -> None:
    maps = nested(ARRAY_OF_MAPS)
    maps.elf.reloc(".maps", 40, 99, 2)
    assert maps.refused().errno == errno.EINVAL


def test_the_values_of_hash_of_maps_need_keys_of_four_bytes() -> None:
    maps = nested(HASH_OF_MAPS, key=8)
    maps.elf.reloc(".maps", 40, 1, 2)
    error = maps.refused()
    assert "keys of 8 bytes" in str(error)


def test_values_must_be_maps_of_the_section() -> None:
    maps = nested(ARRAY_OF_MAPS)
    maps.elf.section("other", bytes(8)).symbol("stray", "other")
    maps.elf.reloc(".maps", 40, 1, 2)
    assert maps.refused().errno == 4005


def test_a_maps_symbol_without_a_definition_is_esrch() -> None:
    maps = nested(ARRAY_OF_MAPS)
    maps.elf.symbol("stray", 1, 4, 4)  # .maps will be section 1, this symbol is symbol 1
    maps.elf.reloc(".maps", 40, 1, 2)
    assert maps.refused().errno == errno.ESRCH


def test_an_inner_map_cannot_be_pinned_or_nested() -> None:
    assert nested(ARRAY_OF_MAPS, pinned=True).refused().errno == errno.EINVAL
    error = nested(ARRAY_OF_MAPS, deeper=True).refused()
    assert error.errno == errno.ENOTSUP and "multi-level inner maps" in str(error)


def test_values_belong_to_maps_of_maps_and_programs_only() -> None:
    maps = one(type=num(1), values=lambda m: m.btf.array(m.pointer(m.u64), m.int, 0))
    assert maps.refused().errno == errno.ENOTSUP


def test_values_must_be_last() -> None:
    maps = one(
        type=num(PROG_ARRAY),
        values=lambda m: m.btf.array(m.pointer(m.btf.func_proto(0)), m.int, 0),
        max_entries=num(1),
    )
    error = maps.refused()
    assert error.errno == errno.EINVAL and "should be last" in str(error)


@pytest.mark.parametrize(
    "values",
    [
        lambda m: m.btf.array(m.pointer(m.u64), m.int, 3),
        lambda m: m.pointer(m.u64),
        lambda m: m.btf.array(m.u64, m.int, 0),
        lambda m: m.btf.array(m.pointer(m.u64), m.int, 0),
    ],
    ids=["with a length", "no array", "no pointers", "not functions"],
)
def test_values_of_a_prog_array_are_function_pointers(values: Callable[[Maps], int]) -> None:
    assert one(type=num(PROG_ARRAY), values=values).refused().errno == errno.EINVAL


def prog_array() -> Maps:
    maps = Maps()
    maps.elf.code("raw_tp", "r0 = 0; exit", name="main").code(".text", "exit", name="sub")
    pointer = maps.pointer(maps.btf.func_proto(maps.int))
    rows = [
        ("type", maps.number(PROG_ARRAY), 0),
        ("values", maps.btf.array(pointer, maps.int, 0), 64),
    ]
    maps.add("jumps", maps.btf.struct("", 8, rows))
    return maps


def test_a_prog_array_is_filled_with_programs() -> None:
    maps = prog_array()
    maps.size += 8
    maps.elf.reloc(".maps", 8, 1, 2)
    assert maps.read()["jumps"].slots == ((0, "main"),)


def test_a_subprogram_cannot_be_in_a_prog_array() -> None:
    maps = prog_array()
    maps.elf.reloc(".maps", 8, 2, 2)
    assert maps.refused().errno == 4005


# ---- struct_ops --------------------------------------------------------------------------------


def struct_ops(section: str) -> bytes:
    btf = BtfBuilder()
    u64 = btf.int_("u64", 8)
    ops = btf.struct("tcp_congestion_ops", 16, [("a", u64, 0), ("b", u64, 64)])
    btf.datasec(section, 16, [(btf.var("cubic", ops), 0, 16)])
    elf = ElfBuilder().section(section, bytes(16)).section(".BTF", btf.encode())
    return elf.symbol("cubic", section, 0, 16).build()


@pytest.mark.parametrize(
    ("section", "flags", "autocreate"),
    [(".struct_ops", 0, True), (".struct_ops.link", 1 << 13, True), ("?.struct_ops", 0, False)],
)
def test_struct_ops_variables_are_maps(section: str, flags: int, autocreate: bool) -> None:
    (found,) = read_object(struct_ops(section)).maps
    assert (found.name, found.type, found.value_size, found.flags) == ("cubic", 26, 16, flags)
    assert found.autocreate is autocreate and found.section == section


def test_a_struct_ops_section_that_btf_does_not_list_is_einval() -> None:
    builder = ElfBuilder().section(".struct_ops", bytes(8)).section(".BTF", Maps().btf.encode())
    with pytest.raises(ObjectError, match="no DATASEC"):
        read_object(builder.build())


def test_a_struct_ops_variable_must_be_a_struct() -> None:
    btf = BtfBuilder()
    btf.datasec(".struct_ops", 4, [(btf.var("x", btf.int_("int", 4)), 0, 4)])
    elf = ElfBuilder().section(".struct_ops", bytes(4)).section(".BTF", btf.encode())
    with pytest.raises(ObjectError, match="struct type"):
        read_object(elf.symbol("x", ".struct_ops", 0, 4).build())
