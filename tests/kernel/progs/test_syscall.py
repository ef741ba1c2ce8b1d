"""BPF_PROG_TEST_RUN of syscall programs; limits as seen on Linux 6.18.44."""

import pytest

from bpfemu.btf import BtfBuilder, IntEncoding
from bpfemu.errors import InputError
from bpfemu.kernel.progs.syscall import Syscall
from tests.kernel.progs.places import image, load, place


def test_without_a_context_r1_is_null():
    assert place(Syscall, image(31)).addr == 0
    assert place(Syscall, image(31), ctx=b"").addr == 0


def test_what_the_program_writes_comes_back():
    ctx = place(Syscall, image(31), ctx=bytes(16))

    ctx.memory.store(ctx.addr + 8, 4, 0xABCD)

    assert ctx.ctx_out() == bytes(8) + b"\xcd\xab" + bytes(6)
    assert load(ctx, 8, 8) == 0xABCD


def test_65535_bytes_are_the_most():
    assert len(place(Syscall, image(31), ctx=bytes(65535)).ctx_out()) == 65535
    with pytest.raises(InputError, match="65536 bytes, there can be 65535") as caught:
        place(Syscall, image(31), ctx=bytes(65536))
    assert caught.value.errno == 22


def test_less_context_than_the_program_reads_is_refused():
    code = "r0 = *(u64 *)(r1 + 0); *(u32 *)(r1 + 12) = r0; exit"
    reader = image(31, code, ctx_loads=(0, 1))

    with pytest.raises(InputError, match="reads 16 bytes of context, 15 are given"):
        place(Syscall, reader, ctx=bytes(15))
    with pytest.raises(InputError, match="reads 16 bytes of context, 0 are given"):
        place(Syscall, reader)
    place(Syscall, reader, ctx=bytes(16))


def test_numbers_become_words():
    ctx = place(Syscall, image(31), ctx=[1, 2])

    assert ctx.ctx_out() == b"\1" + bytes(7) + b"\2" + bytes(7)


def typed(by_pointer: bool = True) -> dict[str, object]:
    """``int p(struct args *ctx)`` with ``struct args { u32 a; u16 b; }``, as BTF."""
    b = BtfBuilder()
    number = b.int_("int", 4, IntEncoding.SIGNED)
    u32, u16 = b.int_("u32", 4), b.int_("u16", 2)
    args = b.struct("args", 8, [("a", u32, 0), ("b", u16, 32)])
    pointer = b.ptr(args if by_pointer else 0)
    proto = b.func_proto(number, [("ctx", pointer)])
    func = b.func("p", proto)
    return {"btf": b.build(), "btf_id": func}


def test_a_struct_of_the_programs_btf_is_given_by_field_names():
    ctx = place(Syscall, image(31, **typed()), ctx={"a": 7, "b": 9})

    assert ctx.ctx_out() == b"\7\0\0\0\11\0\0\0"


def test_a_wrong_field_name_is_named():
    with pytest.raises(InputError, match="c"):
        place(Syscall, image(31, **typed()), ctx={"c": 7})


@pytest.mark.parametrize("facts", [typed(by_pointer=False), {}, {**typed(), "btf_id": 1}])
def test_names_need_a_struct_in_btf(facts):
    with pytest.raises(InputError, match="no struct type in BTF"):
        place(Syscall, image(31, **facts), ctx={"a": 7})


def test_a_program_without_parameters_has_no_struct():
    b = BtfBuilder()
    number = b.int_("int", 4, IntEncoding.SIGNED)
    func = b.func("p", b.func_proto(number, []))
    bare = image(31, btf=b.build(), btf_id=func)
    with pytest.raises(InputError, match="no struct type in BTF"):
        place(Syscall, bare, ctx={"a": 7})


def test_a_parameter_that_is_no_pointer_has_no_struct():
    b = BtfBuilder()
    number = b.int_("int", 4, IntEncoding.SIGNED)
    func = b.func("p", b.func_proto(number, [("x", number)]))
    scalar = image(31, btf=b.build(), btf_id=func)
    with pytest.raises(InputError, match="no struct type in BTF"):
        place(Syscall, scalar, ctx={"a": 7})


def test_a_packet_is_refused():
    with pytest.raises(InputError, match="syscall programs take no packet"):
        place(Syscall, image(31), data_in=b"x" * 20)
