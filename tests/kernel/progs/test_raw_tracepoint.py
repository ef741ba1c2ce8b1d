"""BPF_PROG_TEST_RUN of raw_tp programs; every -EINVAL here was seen on Linux 6.18.44."""

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.progs.raw_tracepoint import RawTracepoint, RawTracepointWritable
from bpfemu.machine.stop import FaultKind, Trap
from tests.kernel.progs.places import Env, image, load, place


def test_twelve_zero_words_are_the_default():
    ctx = place(RawTracepoint, image(17))

    assert [load(ctx, 8 * at, 8) for at in range(12)] == [0] * 12
    with pytest.raises(Trap):
        load(ctx, 96, 8)


def test_arguments_are_words_in_order():
    ctx = place(RawTracepoint, image(17), ctx=[3, -1, None])

    assert load(ctx, 0, 8) == 3
    assert load(ctx, 8, 8) == 2**64 - 1
    assert load(ctx, 16, 8) == 0


def test_arguments_can_be_given_as_the_field_of_the_uapi_struct():
    ctx = place(RawTracepoint, image(17), ctx={"args": [1, 2]})

    assert load(ctx, 8, 8) == 2


@pytest.mark.parametrize("given", [{"arg": [1]}, {"args": 1}, {"args": [1], "more": 2}])
def test_any_other_field_is_refused(given):
    with pytest.raises(InputError, match="one field, 'args'"):
        place(RawTracepoint, image(17), ctx=given)


def test_bytes_are_taken_as_they_are():
    ctx = place(RawTracepoint, image(17), ctx=b"\1\2\3\4")

    assert load(ctx, 0, 4) == 0x04030201


def test_97_bytes_are_one_too_many():
    with pytest.raises(InputError, match="97 bytes, there can be 96") as caught:
        place(RawTracepoint, image(17), ctx=bytes(97))
    assert caught.value.errno == 22


def test_thirteen_arguments_are_one_too_many():
    with pytest.raises(InputError, match="13 args are given, there can be 12"):
        place(RawTracepoint, image(17), ctx=[0] * 13)


def test_less_context_than_the_program_reads_is_refused():
    reader = image(17, "r0 = *(u64 *)(r1 + 8); exit", ctx_loads=(0,))

    with pytest.raises(InputError, match="reads 16 bytes of context, 8 are given") as caught:
        place(RawTracepoint, reader, ctx=[1])
    assert caught.value.errno == 22
    place(RawTracepoint, reader, ctx=[1, 2])


def test_something_that_is_no_number_is_refused_by_its_place():
    with pytest.raises(InputError, match=r"p: args\[1\] is 'x', must be a number"):
        place(RawTracepoint, image(17), ctx=[1, "x"])


def test_a_number_wider_than_a_word_is_refused():
    with pytest.raises(InputError, match=r"args\[0\] is 0x10000000000000000, does not fit its 8"):
        place(RawTracepoint, image(17), ctx=[1 << 64])


def test_a_packet_is_refused():
    with pytest.raises(InputError, match="raw_tracepoint programs take no packet"):
        place(RawTracepoint, image(17), data_in=bytes(20))


def test_the_context_cannot_be_written():
    for cls in (RawTracepoint, RawTracepointWritable):
        ctx = place(cls, image(17), ctx=[5])
        with pytest.raises(Trap) as caught:
            ctx.memory.store(ctx.addr, 8, 1)
        assert caught.value.fault.kind is FaultKind.READ_ONLY


def test_freeing_a_context_makes_it_unreadable():
    env = Env()
    ctx = place(RawTracepoint, image(17), env, ctx=[5])

    ctx.free()

    with pytest.raises(Trap) as caught:
        load(ctx, 0, 8)
    assert caught.value.fault.kind is FaultKind.USE_AFTER_FREE
    assert ctx.ctx_out() == b"" and ctx.data_out() == b""
