"""bpf_testmod: iterator notes, section 1.3, and the programs that use its iterator."""

from __future__ import annotations

from errno import EINVAL
from pathlib import Path

import pytest

from bpfemu.elf import read_object
from bpfemu.errors import BindError
from bpfemu.machine.memory import KERNEL, Memory, RegionKind
from bpfemu.modules import bpf_testmod
from bpfemu.modules.bpf_testmod import bpf_iter_testmod_seq
from bpfemu.proto.layout import Layouts
from bpfemu.proto.space import Space
from bpfemu.skeleton import open_object
from bpfemu.testing import judge, read_expectation

OBJECT = Path(__file__).parents[2] / "programs/iters/testmod_seq.bpf.o"
PROGRAMS = {
    f.name: read_expectation(f.tags) for f in read_object(OBJECT).functions if f.section != ".text"
}
GARBAGE = 0xA5A5_A5A5_A5A5_A5A5


@pytest.fixture
def it():
    space = Space(Memory(0xFFFF_8880_0000_0000, 1 << 20), Layouts(None))
    region = space.memory.allocate(16, RegionKind.STACK, "it", state=KERNEL)
    space.memory.write(region.addr, b"\xa5" * 16)
    return space.pointer(region.addr, bpf_iter_testmod_seq)


def test_new_next_destroy(it):
    assert bpf_testmod.bpf_iter_testmod_seq_new(it, -7, 2) == 0

    elements = [bpf_testmod.bpf_iter_testmod_seq_next(it) for _ in range(4)]

    assert [bool(element) for element in elements] == [True, True, False, False]
    assert int(elements[0]) == int(it)
    assert elements[0][0] == -7
    bpf_testmod.bpf_iter_testmod_seq_destroy(it)
    assert (it.value, it.cnt) == (-7, 0)


def test_destroy_ends_it_early(it):
    bpf_testmod.bpf_iter_testmod_seq_new(it, 1, 9)

    bpf_testmod.bpf_iter_testmod_seq_destroy(it)

    assert not bpf_testmod.bpf_iter_testmod_seq_next(it)


def test_a_negative_count_is_stored_and_nothing_else(it):
    assert bpf_testmod.bpf_iter_testmod_seq_new(it, 5, -3) == -EINVAL

    assert it.cnt == -3
    assert it.read_(8) == GARBAGE.to_bytes(8, "little")
    assert not bpf_testmod.bpf_iter_testmod_seq_next(it)
    assert bpf_testmod.bpf_iter_testmod_seq_value(4, it) == 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_do_what_their_tags_say(program):
    with open_object(OBJECT, modules=("bpf_testmod",)) as skel:
        verdict = judge(PROGRAMS[program], skel.progs[program].run())

    assert verdict.passed, verdict.why


def test_without_the_module_the_object_is_refused():
    with (
        open_object(OBJECT) as skel,
        pytest.raises(BindError, match="bpf_iter_testmod_seq_new"),
    ):
        skel.load()


def test_its_btf_shows_the_members():
    with open_object(OBJECT, modules=("bpf_testmod",)) as skel:
        skel.load()
        btf = skel.kernel.modules["bpf_testmod"].btf.btf
        struct = btf.type(btf.find("bpf_iter_testmod_seq"))

    assert (struct.size, [member.name for member in struct.members]) == (16, ["value", "cnt"])
