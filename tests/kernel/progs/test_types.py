"""The table of program types, against include/uapi/linux/bpf.h of 6.18."""

from bpfemu.bind.sections import PROG_TYPES
from bpfemu.kernel.progs.types import PROG_TYPE_NAMES, PROG_TYPE_NUMBERS
from bpfemu.proto.catalog import Catalog


def test_there_are_33_and_the_last_is_netfilter():
    assert sorted(PROG_TYPE_NAMES) == list(range(33))
    assert PROG_TYPE_NAMES[32] == "netfilter"
    assert PROG_TYPE_NUMBERS["syscall"] == 31


def test_names_are_those_that_sections_declare():
    assert {name.upper(): number for name, number in PROG_TYPE_NUMBERS.items()} == PROG_TYPES


def test_every_class_has_the_name_of_its_number():
    catalog = Catalog.discover("bpfemu.kernel.progs")

    found = {number: cls.name for number, cls in catalog.prog_types.items()}

    assert found == {number: PROG_TYPE_NAMES[number] for number in found}
    assert sorted(found) == [1, 2, 3, 4, 5, 6, 7, 8, 17, 24, 26, 29, 31]
