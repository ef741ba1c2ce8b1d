"""Typed arguments of fentry, fexit, tp_btf, iter and lsm programs."""

import pytest

from bpfemu.btf import BtfBuilder, IntEncoding
from bpfemu.errors import InputError
from bpfemu.kernel.progs.tracing import Lsm, Tracing
from bpfemu.machine.stop import Trap
from bpfemu.proto.types import Ptr
from tests.kernel.progs.places import image, load, place

FENTRY, FEXIT, MODIFY_RETURN, LSM_MAC, ITER = 24, 25, 26, 27, 28


def target(attach_type=FENTRY, number=26):
    """A program on ``int f(struct task_struct *task, u64 flags, struct file *file)``."""
    b = BtfBuilder()
    b.int_("int", 4, IntEncoding.SIGNED)
    u64 = b.int_("u64", 8)
    task = b.ptr(b.const(b.struct("task_struct", 0, [])))
    file = b.ptr(b.fwd("file"))
    return image(
        number,
        attach_type=attach_type,
        attach_to="f",
        kernel_btf=b.build(),
        ctx_args=(("task", task), ("flags", u64), ("file", file)),
    )


def args(ctx, count):
    """The first words of the context."""
    return [load(ctx, 8 * at, 8) for at in range(count)]


def test_what_is_not_given_is_the_current_task_and_zeros():
    assert args(place(Tracing, target()), 3) == [0x1000, 0, 0]


def test_a_task_is_named_by_its_pid():
    assert args(place(Tracing, target(), ctx={"task": 8, "flags": 5}), 3) == [0x2000, 5, 0]


def test_arguments_can_be_given_in_order():
    assert args(place(Tracing, target(), ctx=[8, 5]), 3) == [0x2000, 5, 0]


def test_none_is_null_for_a_task_too():
    assert args(place(Tracing, target(), ctx={"task": None}), 1) == [0]


def test_addresses_and_pointers_are_taken_as_they_are():
    addr = 0xFFFF_8880_0000_1230

    assert args(place(Tracing, target(), ctx=[addr, 0, Ptr(addr)]), 3) == [addr, 0, addr]
    assert args(place(Tracing, target(), ctx=[Ptr(8)]), 1) == [8]


def test_a_pid_that_nobody_has_is_refused():
    with pytest.raises(InputError, match="p: task is task 99, which the world does not have"):
        place(Tracing, target(), ctx={"task": 99})


def test_an_unknown_argument_is_named_with_those_there_are():
    with pytest.raises(InputError, match=r"f has no argument 'flag'; it has \['task', 'flags', "):
        place(Tracing, target(), ctx={"flag": 1})


def test_too_many_arguments_are_refused():
    with pytest.raises(InputError, match="4 arguments are given, f has"):
        place(Tracing, target(), ctx=[8, 1, 2, 3])


@pytest.mark.parametrize("attach_type", [FEXIT, MODIFY_RETURN])
def test_the_return_value_stands_behind_the_arguments(attach_type):
    ctx = place(Tracing, target(attach_type), ctx={"ret": -2})

    assert args(ctx, 4) == [0x1000, 0, 0, 2**64 - 2]


def test_the_return_value_can_be_one_of_the_typed_arguments():
    fexit = image(
        26,
        attach_type=FEXIT,
        attach_to="f",
        ctx_args=(("x", 0), ("return", 0)),
    )

    ctx = place(Tracing, fexit, ctx={"x": 3, "ret": 4})

    assert args(ctx, 2) == [3, 4]
    assert ctx.memory.read_int(ctx.addr - 8, 8) == 1


def test_an_lsm_program_gets_what_earlier_ones_returned():
    ctx = place(Lsm, target(LSM_MAC, 29), ctx=[7, 1, None, -1])

    assert args(ctx, 4) == [0x1000, 1, 0, 2**64 - 1]


def test_fentry_has_no_return_value():
    with pytest.raises(InputError, match="no argument 'return'"):
        place(Tracing, target(), ctx={"ret": 1})


def test_the_count_of_arguments_is_in_front_where_programs_cannot_read_it():
    ctx = place(Tracing, target(FEXIT))

    assert ctx.memory.read_int(ctx.addr - 8, 8) == 3
    with pytest.raises(Trap):
        load(ctx, -8, 8)


def test_arguments_cannot_be_written():
    ctx = place(Tracing, target())

    with pytest.raises(Trap):
        ctx.memory.store(ctx.addr, 8, 0)


def test_an_untyped_target_takes_raw_words():
    bare = image(26, attach_type=FENTRY, attach_to="f")

    assert args(place(Tracing, bare, ctx=[1, 2]), 2) == [1, 2]
    assert args(place(Tracing, bare), 12) == [0] * 12


def test_bytes_are_raw_words():
    assert args(place(Tracing, target(), ctx=b"\5" + bytes(7)), 1) == [5]


def test_types_without_kernel_btf_are_numbers():
    ctx = place(Tracing, image(26, attach_to="f", ctx_args=(("task", 3),)), ctx={"task": 8})

    assert args(ctx, 1) == [8]


def test_an_iter_program_gets_a_meta_of_its_own():
    b = BtfBuilder()
    meta = b.ptr(b.struct("bpf_iter_meta", 24, []))
    task = b.ptr(b.struct("task_struct", 0, []))
    walker = image(
        26,
        attach_type=ITER,
        attach_to="task",
        kernel_btf=b.build(),
        ctx_args=(("meta", meta), ("task", task)),
    )

    ctx = place(Tracing, walker, ctx={"task": 8})

    addr, of_task = args(ctx, 2)
    assert of_task == 0x2000
    assert ctx.memory.load(addr + 16, 8) == 0  # seq_num
    ctx.free()
    with pytest.raises(Trap):
        ctx.memory.load(addr, 8)


def test_a_packet_is_refused():
    with pytest.raises(InputError, match="lsm programs take no packet"):
        place(Lsm, target(LSM_MAC, 29), data_in=b"x" * 20)
