"""bpf_iter_dmabuf: iterator notes, sections 2.12 and 2.15, row 27 of the table in 5.4."""

from __future__ import annotations

import pytest

from bpfemu.machine.stop import FaultKind
from bpfemu.record import replace
from bpfemu.world.resources import DmaBufSpec
from kfuncs.iter_dmabuf import bpf_iter_dmabuf
from tests.kfuncs.conftest import WORLD, Lab

BUFFERS = (
    DmaBufSpec(4096, "udmabuf", "camera", inode=5),
    DmaBufSpec(8192, references=0),
    DmaBufSpec(12288, "i915", references=2),
)


class Walk:
    def __init__(self, lab):
        self.lab = lab
        self.it = lab.slot(bpf_iter_dmabuf)
        assert lab.call("bpf_iter_dmabuf_new", self.it) == 0

    def next(self):
        found = self.lab.call("bpf_iter_dmabuf_next", self.it)
        return found.size if found else None

    def destroy(self):
        self.lab.call("bpf_iter_dmabuf_destroy", self.it)


@pytest.fixture
def lab():
    return Lab("6.18.0", world=replace(WORLD, dmabufs=BUFFERS))


def counts(lab):
    return [lab.world.files.count(buffer.file) for buffer in lab.world.dmabufs.all()]


def test_buffers_that_are_being_released_are_left_out_and_it_wraps(lab):
    walk = Walk(lab)

    assert [walk.next() for _ in range(6)] == [4096, 12288, None, 4096, 12288, None]


def test_without_buffers_it_is_null_and_null():
    walk = Walk(Lab("6.18.0"))

    assert [walk.next(), walk.next()] == [None, None]
    walk.destroy()


def test_one_file_reference_on_the_current_buffer(lab):
    walk = Walk(lab)
    assert counts(lab) == [1, 0, 2]
    walk.next()
    assert counts(lab) == [2, 0, 2]
    walk.next()
    assert counts(lab) == [1, 0, 3]
    walk.next()
    assert counts(lab) == [1, 0, 2]


def test_destroy_drops_the_current_one_and_the_slot_keeps_it(lab):
    walk = Walk(lab)
    walk.next()
    slot = walk.it.read_(8)

    walk.destroy()

    assert counts(lab) == [1, 0, 2]
    assert walk.it.read_(8) == slot != bytes(8)


@pytest.mark.parametrize("leave", ["next", "destroy"])
def test_a_buffer_closed_meanwhile_goes_with_our_reference(lab, leave):
    walk = Walk(lab)
    walk.next()
    first = lab.world.dmabufs.all()[0]
    lab.world.dmabufs.put(first)  # the exporter closes it
    assert counts(lab) == [1, 0, 2]

    getattr(walk, leave)()

    assert len(counts(lab)) == 2
    assert not lab.kernel.memory.contains(int(first))


def test_what_a_buffer_shows(lab):
    buffer, other, _ = lab.world.dmabufs.all()

    assert buffer.name.string_() == b"camera"
    assert buffer.exp_name.string_() == b"udmabuf"
    assert buffer.file.f_inode.i_ino == 5
    assert lab.world.files.path(buffer.file) == "/dmabuf:camera"
    assert not other.name
    assert other.file.f_inode.i_ino == 1


def test_a_new_buffer_is_the_last_of_the_list(lab):
    lab.world.dmabufs.export(DmaBufSpec(1))
    walk = Walk(lab)

    assert [walk.next() for _ in range(4)] == [4096, 12288, 1, None]


PROGRAM = """
    r1 = r10; r1 += -8; call bpf_iter_dmabuf_new; r6 = 0
    loop: r1 = r10; r1 += -8; call bpf_iter_dmabuf_next; if r0 == 0 goto out
        r6 += 1; goto loop
    out: r1 = r10; r1 += -8; call bpf_iter_dmabuf_destroy; r0 = r6; exit
"""


def test_a_program_counts_them_when_it_may_sleep(lab):
    bench = lab.bench

    outcome = bench.run(bench.image(PROGRAM, sleepable=True))

    assert outcome == 2
    assert outcome.ok


def test_a_program_that_may_not_sleep_is_told(lab):
    outcome = lab.bench.run(PROGRAM)

    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.CONTEXT


def test_it_came_with_6_16():
    lab = Lab("6.12.0")

    found = lab.kernel.catalog.find_kfunc("bpf_iter_dmabuf_new", lab.kernel.config.profile)
    assert found is None
