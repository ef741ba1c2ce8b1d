"""Relocation of a module's BTF from its distilled base to a running kernel's."""

import errno

import pytest

from bpfemu.btf import Btf, BtfBuilder, IntEncoding, kinds
from bpfemu.btf.distill import relocate
from bpfemu.errors import ObjectError


def kernel(byteorder="little"):
    """[1] int, [2] file (16), [3] fwd, [4] double, [5] big enum64, [6] int *, [7] short enum."""
    b = BtfBuilder(byteorder=byteorder)
    b.int_("int", 4, IntEncoding.SIGNED)
    b.struct("file", 16, [("f_mode", 1, 0)])
    b.fwd("inode")
    b.float_("double", 8)
    b.enum64("big", 8, [("BIG", 1 << 40)])
    b.ptr(1)
    b.enum("few", 4, [("FEW", 1)])
    return b.build("vmlinux")


class Distilled:
    """A distilled base under construction, then a split BTF on top of it."""

    def __init__(self, byteorder="little"):
        self.base = BtfBuilder(byteorder=byteorder)
        self._byteorder = byteorder

    def split(self):
        return BtfBuilder(self.base.build(), byteorder=self._byteorder)


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_ids_and_names_are_written_for_the_real_base(byteorder):
    """Distilled ids 1, 2 become 2, 1; own ids 3… become 8…; own strings move up."""
    built = Distilled(byteorder)
    file = built.base.struct("file", 16, [])
    number = built.base.int_("int", 4, IntEncoding.SIGNED)
    split = built.split()
    pointer = split.ptr(file)
    mine = split.struct("mine", 24, [("file", pointer, 0), ("int", number, 64), ("f", file, 128)])
    proto = split.func_proto(number, [("mine", split.ptr(mine))])
    split.func("mine_of", proto)
    split.array(mine, number, 3)
    base = kernel(byteorder)

    found = relocate(split.build("mod"), base)

    btf = found.btf
    assert (btf.base, btf.name, btf.start_id) == (base, "mod", 8)
    assert btf.type(8) == kinds.Ptr(2)
    assert btf.type(9) == kinds.Struct(
        "mine",
        24,
        (kinds.Member("file", 8, 0), kinds.Member("int", 1, 64), kinds.Member("f", 2, 128)),
    )
    assert btf.type(11) == kinds.FuncProto(1, (kinds.Param("mine", 10),))
    assert btf.type(12) == kinds.Func("mine_of", 11, kinds.Linkage.GLOBAL)
    assert btf.type(13) == kinds.Array(9, 1, 3)
    assert [found.id(id) for id in range(8)] == [0, 2, 1, 8, 9, 10, 11, 12]


def test_the_blob_keeps_its_length():
    built = Distilled()
    built.base.int_("int", 4, IntEncoding.SIGNED)
    split = built.split()
    split.typedef("number", 1)
    before = split.build()

    after = relocate(before, kernel()).btf

    assert len(after.raw) == len(before.raw)
    assert after.type(8) == kinds.Typedef("number", 1)


def test_every_kind_of_reference_is_rewritten():
    """The same types built on the real base are the same types."""
    base = kernel()
    built = Distilled()
    built.base.int_("int", 4, IntEncoding.SIGNED)
    blobs = [built.split(), BtfBuilder(base)]
    for b in blobs:
        i = 1
        for make in (b.const, b.volatile, b.restrict, b.ptr):
            make(i)
        b.type_tag("rcu", i)
        union = b.union("u", 4, [("int", i, 0), ("", i, 0)])
        b.decl_tag("tag", union, 0)
        b.enum("e", 4, [("E", 1), ("int", 2)])
        b.enum64("e64", 8, [("E64", 1 << 33)])
        b.fwd("f", is_union=True)
        b.float_("float", 4)
        b.int_("long", 8)
        b.datasec(".data..percpu", 4, [(b.var("v", i), 0, 4)])
        b.func_proto(0, [("a", union), ("", 0)])

    found = relocate(blobs[0].build(), base).btf

    assert list(found.types()) == list(blobs[1].build().types())


def test_a_module_without_types_of_its_own():
    built = Distilled()
    built.base.int_("int", 4, IntEncoding.SIGNED)

    found = relocate(built.split().build(), kernel())

    assert list(found.btf.types()) == []
    assert found.id(1) == 1


def test_every_kind_of_distilled_type_finds_its_own():
    built = Distilled()
    d = built.base
    d.enum("few", 4, [])
    d.enum("big", 8, [])  # an ENUM64 is distilled to a sized ENUM
    d.float_("double", 8)
    d.fwd("inode")
    d.fwd("file")  # a base struct without bit fields
    d.int_("int", 4, IntEncoding.SIGNED)

    found = relocate(built.split().build(), kernel())

    assert [found.id(id) for id in range(1, 7)] == [7, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda d: d.int_("int", 4), r"'int' \[1\] is not mapped"),  # other encoding
        (lambda d: d.int_("int", 8, IntEncoding.SIGNED), "not mapped"),  # other size
        (lambda d: d.int_("u128", 16), "'u128' .* not mapped"),
        (lambda d: d.float_("double", 4), "not mapped"),
        (lambda d: d.float_("int", 4), "not mapped"),
        (lambda d: d.enum("big", 4, []), "not mapped"),
        (lambda d: d.enum("int", 4, []), "not mapped"),
        (lambda d: d.int_("few", 4), "not mapped"),
        (lambda d: d.fwd("inode", is_union=True), "not mapped"),
        (lambda d: d.fwd("int"), "not mapped"),
        (lambda d: d.struct("missing", 4, []), "'missing' .* not mapped"),
        (lambda d: d.struct("", 4, []), "it is anonymous"),
        (lambda d: d.enum("", 4, []), r"kind \[6\] is invalid .* anonymous"),
        (lambda d: d.ptr(0), r"type \[1\] in distilled based? BTF has unexpected kind \[2\]"),
        (lambda d: d.typedef("t", 0), r"unexpected kind \[8\]"),
        (lambda d: d.enum64("big", 8, []), r"unexpected kind \[19\]"),
    ],
)
def test_what_the_base_lacks_or_a_distilled_base_may_not_hold_is_einval(add, message):
    built = Distilled()
    add(built.base)

    with pytest.raises(ObjectError, match=message) as caught:
        relocate(built.split().build(), kernel())
    assert caught.value.errno == errno.EINVAL


def embed(shape):
    """A module whose struct holds the kernel's ``file``, believed to have 24 bytes, somehow."""
    built = Distilled()
    built.base.int_("int", 4, IntEncoding.SIGNED)
    file = built.base.struct("file", 24, [])
    split = built.split()
    inner = shape(split, file)
    split.struct("mine", 64, [("f", inner, 0)])
    return split.build()


@pytest.mark.parametrize(
    "shape",
    [
        lambda b, file: file,
        lambda b, file: b.array(file, 1, 2),
        lambda b, file: b.typedef("file_t", b.const(b.volatile(file))),
        lambda b, file: b.array(b.array(b.typedef("file_t", file), 1, 2), 1, 2),
        lambda b, file: b.union("inner", 24, [("f", file, 0)]),
    ],
)
def test_a_struct_held_by_value_must_have_the_size_it_was_built_with(shape):
    with pytest.raises(ObjectError, match=r"'file' \[2\] is not mapped"):
        relocate(embed(shape), kernel())


def test_a_struct_behind_a_pointer_may_have_any_size():
    found = relocate(embed(lambda b, file: b.ptr(file)), kernel())

    assert found.id(2) == 2


def test_a_chain_of_types_without_an_end_is_no_struct_held_by_value():
    """Loops are not looked for in module BTF; here only that none keeps us busy."""
    built = Distilled()
    built.base.struct("file", 24, [])
    split = built.split()
    one, two = split.reserve(), split.reserve()
    split.set(one, kinds.Const(two))
    split.set(two, kinds.Volatile(one))
    split.struct("mine", 64, [("f", one, 0), ("g", 99, 0)])

    found = relocate(split.build(), kernel())

    assert found.id(1) == 2


def two_files(*sizes):
    b = BtfBuilder()
    for size in sizes:
        b.struct("file", size, [])
    return b.build("vmlinux")


def test_among_several_structs_of_a_name_the_size_decides():
    built = Distilled()
    built.base.struct("file", 24, [])
    split = built.split().build()

    assert relocate(split, two_files(16, 24)).id(1) == 2
    with pytest.raises(ObjectError, match="not mapped"):
        relocate(split, two_files(16, 32))


def test_two_candidates_of_the_same_size_are_ambiguous():
    built = Distilled()
    built.base.struct("file", 24, [])

    with pytest.raises(ObjectError, match="multiple candidates of the same size") as caught:
        relocate(built.split().build(), two_files(24, 24))
    assert caught.value.errno == errno.EINVAL
    assert "'file' [1], size 24" in str(caught.value)
    assert "(ids [1, 2])" in str(caught.value)


def test_a_forward_declaration_goes_by_the_bit_field_flag_of_what_it_finds():
    """As coded: a struct must have none, a union must have one."""
    b = BtfBuilder()
    b.struct("plain", 4, [])
    b.struct("bits", 4, [("b", 0, 0, 3)])
    b.union("u", 4, [])
    b.union("ubits", 4, [("b", 0, 0, 3)])
    base = b.build("vmlinux")

    def find(name, is_union):
        built = Distilled()
        built.base.fwd(name, is_union)
        try:
            return relocate(built.split().build(), base).id(1)
        except ObjectError:
            return None

    assert find("plain", False) == 1
    assert find("plain", True) == 1
    assert find("bits", False) is None
    assert find("u", True) is None
    assert find("ubits", True) == 4


def test_a_distilled_struct_takes_any_kind_of_its_name():
    """As coded: only sizes are compared, and an INT's always is."""
    built = Distilled()
    built.base.struct("int", 4, [])
    built.base.union("file", 8, [])

    found = relocate(built.split().build(), kernel())

    assert (found.id(1), found.id(2)) == (1, 2)


def test_a_name_that_only_the_distilled_strings_have_is_enoent():
    """Distilled strings hold "unused" behind "int": no type of the distilled base has that name."""
    base = BtfBuilder()
    base.int_("int", 4, IntEncoding.SIGNED)
    raw = bytearray(base.encode())
    raw += b"unused\0"
    raw[20:24] = (len(b"\0int\0unused\0")).to_bytes(4, "little")
    split = BtfBuilder(Btf.parse(bytes(raw)))
    split.typedef("unused", 1)

    with pytest.raises(ObjectError, match="string offset 5") as caught:
        relocate(split.build(), kernel())
    assert caught.value.errno == errno.ENOENT


def test_btf_without_a_base_is_not_relocated():
    with pytest.raises(ObjectError, match="has no distilled base"):
        relocate(kernel(), kernel())
