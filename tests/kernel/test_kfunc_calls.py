"""Finding kfuncs behind (imm, off) and fd_array: the rows of BTF notes 9.3."""

import errno

import pytest

from bpfemu.btf import BtfBuilder, IntEncoding
from bpfemu.errors import BindError
from bpfemu.kernel.btf_objects import BtfObject
from bpfemu.kernel.kfunc_calls import CallerRights, FdArray, FoundKfunc, KfuncCalls
from bpfemu.kernel.registration import KfuncId, KfuncSet
from tests.kernel.btf_parts import (
    TRACING,
    XDP,
    kernel_btf,
    own_ids,
    plain_module,
    vmlinux,
)

STRUCT, PUT, GET = 2, 5, 7


@pytest.fixture
def kernel():
    made = kernel_btf()
    made.kfuncs.register("", KfuncSet("tracing", (KfuncId("put_task", 2), KfuncId("id_of"))))
    return made


def calls(kernel, fd_array=None, **rights):
    return KfuncCalls(kernel, CallerRights(**{"prog_type": TRACING, **rights}), fd_array)


def check(use, number, text):
    with pytest.raises(BindError) as caught:
        use()
    assert (caught.value.errno, str(caught.value).count(text)) == (number, 1), str(caught.value)


def test_a_call_of_the_kernels_own_kfunc(kernel):
    found = calls(kernel).call(PUT)

    assert found == FoundKfunc("put_task", "", PUT, 2, 0xFFFF_FFFF_8100_0000 + 16 * PUT)


def test_without_cap_bpf(kernel):
    text = "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN"
    check(lambda: calls(kernel, cap_bpf=False).add(PUT), errno.EPERM, text)


def test_without_vmlinux_btf():
    kernel = kernel_btf(provider=None, btf=None)
    text = "calling kernel function is not supported without CONFIG_DEBUG_INFO_BTF"
    check(lambda: calls(kernel).add(PUT), 524, text)


def test_without_a_jit(kernel):
    text = "JIT is required for calling kernel function"
    check(lambda: calls(kernel, jit=False).add(PUT), 524, text)


def test_a_program_that_is_not_gpl(kernel):
    text = "cannot call kernel function from non-GPL compatible program"
    check(lambda: calls(kernel, gpl=False).add(PUT), errno.EINVAL, text)


def test_call_0_is_left_to_dead_code_elimination(kernel):
    found = calls(kernel)

    assert found.add(0, 0) is None
    text = "invalid kernel function call not eliminated in verifier pass"
    check(lambda: found.call(0, 0), errno.EINVAL, text)


def test_a_negative_offset(kernel):
    text = "negative offset disallowed for kernel module function call"
    check(lambda: calls(kernel).add(PUT, -1), errno.EINVAL, text)


LOST = "failed to find BTF for kernel function"


def test_an_offset_without_fd_array(kernel):
    for text in ("kfunc offset > 0 without fd_array is invalid", LOST):
        check(lambda: calls(kernel).add(PUT, 1), errno.EPROTO, text)


def test_an_offset_behind_the_fd_array(kernel):
    check(lambda: calls(kernel, [0]).add(PUT, 1), errno.EFAULT, LOST)


def test_a_descriptor_that_is_none_or_not_btf(kernel):
    other = kernel.objects.open("a map")

    for fd, number in ((99, errno.EBADF), (other, errno.EINVAL)):
        for text in ("invalid module BTF fd specified", LOST):
            check(lambda fd=fd: calls(kernel, [0, fd]).add(PUT, 1), number, text)


def test_btf_of_no_module(kernel):
    """vmlinux too, and what a program brought."""
    own = kernel.objects.open(kernel.objects.add(BtfObject(vmlinux(), kernel=False)))

    for fd in (kernel.objects.fd_by_id(1), own):
        for text in ("BTF fd for kfunc is not a module BTF", LOST):
            check(lambda fd=fd: calls(kernel, [0, fd]).add(PUT, 1), errno.EINVAL, text)


def load(kernel, name, *functions, **options):
    """A module, the descriptor of its BTF, and the ids of its functions."""
    module = kernel.modules.load(name, plain_module(vmlinux(), *functions), functions, **options)
    return kernel.objects.fd_by_id(module.btf.id), own_ids(module.btf.btf)


def test_a_module_that_is_not_live(kernel):
    def init(module):
        fd = kernel.objects.fd_by_id(module.btf.id)
        check(lambda: calls(kernel, [0, fd]).add(PUT, 1), errno.ENXIO, LOST)
        return 0

    kernel.modules.load("mod", plain_module(vmlinux(), "f"), init=init)


def test_calls_into_two_modules_with_the_same_id(kernel):
    one, ids = load(kernel, "one", "f_one")
    two, _ = load(kernel, "two", "f_two")
    array = FdArray()
    slots = [array.slot(fd) for fd in (one, two, one)]
    assert (slots, array.fds) == ([1, 2, 1], [0, one, two])
    found = calls(kernel, array.fds)

    names = [(k.name, k.module) for k in (found.call(ids["f_one"], off) for off in (1, 2))]

    assert names == [("f_one", "one"), ("f_two", "two")]
    assert found.call(PUT).name == "put_task"
    assert len(found.found) == 3


def test_a_program_holds_each_module_once_until_it_is_closed(kernel):
    fd, ids = load(kernel, "mod", "f", "g")
    module = kernel.modules["mod"]
    found = calls(kernel, [0, fd])

    found.add(ids["f"], 1)
    found.add(ids["g"], 1)
    found.add(ids["f"], 1)

    assert (module.references, module.btf.references) == (1, 3)
    found.close()
    assert (module.references, module.btf.references) == (0, 2)
    found.close()
    assert module.references == 0


@pytest.mark.parametrize("id", [STRUCT, 99])
def test_an_id_that_is_no_function(kernel, id):
    check(lambda: calls(kernel).add(id), errno.EINVAL, f"kernel btf_id {id} is not a function")


def other_kernel(make, **options):
    """A kernel of one function that ``make`` adds to a builder; its id is the last."""
    b = BtfBuilder()
    b.int_("int", 4, IntEncoding.SIGNED)
    make(b)
    return kernel_btf(b.build("vmlinux"), **options)


def test_a_function_without_a_prototype():
    kernel = other_kernel(lambda b: b.func("f", 1, 0))

    text = "kernel function btf_id 2 does not have a valid func_proto"
    check(lambda: calls(kernel).add(2), errno.EINVAL, text)


def test_a_function_that_kallsyms_does_not_know():
    kernel = other_kernel(lambda b: b.func("f", b.func_proto(0), 0), symbols=lambda name: None)

    text = "cannot find address for kernel function f"
    check(lambda: calls(kernel).add(3), errno.EINVAL, text)


def test_a_prototype_that_cannot_be_called():
    kernel = other_kernel(lambda b: b.func("f", b.func_proto(0, [("a", 1)] * 13), 0))

    text = "The function f has 13 arguments. Too many."
    check(lambda: calls(kernel).add(3), errno.EINVAL, text)


def test_an_address_is_looked_up_by_name_across_all_modules(kernel):
    """Not inside the module: of two functions of one name the first has it."""
    one, ids = load(kernel, "one", "f")
    two, _ = load(kernel, "two", "f")
    found = calls(kernel, [0, one, two])

    assert found.add(ids["f"], 1).addr == found.add(ids["f"], 2).addr


def test_more_than_256_kfuncs():
    def make(b):
        proto = b.func_proto(0)
        for number in range(257):
            b.func(f"f{number}", proto, 0)

    found = calls(other_kernel(make))
    for id in range(3, 259):
        found.add(id)

    text = "too many different kernel function calls"
    check(lambda: found.add(259), errno.E2BIG, text)
    assert found.add(3).name == "f0"


def test_more_than_256_module_btfs(kernel):
    """The same module behind 257 offsets counts 257 times; ids differ, or calls would be known."""
    fd, ids = load(kernel, "mod", "f")
    found = calls(kernel, [0] + [fd] * 257)
    for off in range(1, 257):
        found._btf_at(off)

    for text in ("too many different module BTFs", LOST):
        check(lambda: found.add(ids["f"], 257), errno.E2BIG, text)


def test_a_kfunc_that_is_registered_for_other_programs(kernel):
    text = "calling kernel function put_task is not allowed"
    check(lambda: calls(kernel, prog_type=XDP).call(PUT), errno.EACCES, text)
    assert calls(kernel, prog_type=XDP).add(PUT).name == "put_task"  # dead code may call it


def test_an_fd_array_has_32767_slots():
    array = FdArray()
    for fd in range(32767):
        array.slot(fd)

    check(lambda: array.slot(40000), errno.E2BIG, "fd_array")
    assert array.slot(5) == 6
