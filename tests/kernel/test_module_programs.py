"""Programs that call kernel functions of modules: from the object file to the result."""

import errno
from pathlib import Path

import pytest

from bpfemu import Options, Session
from bpfemu.errors import BindError, InputError
from bpfemu.kernel.btf_notifier import ModuleState
from bpfemu.kernel.config import RunOptions
from bpfemu.proto.marks import kfunc
from bpfemu.proto.types import s32
from bpfemu.session import read
from tests.kernel.test_module_package import package

__all__ = ["package"]

OBJECT = Path(__file__).parent.parent / "data/module.bpf.o"


@kfunc(hooks=("syscall",))
def module_add(a: s32, b: s32) -> s32:
    """A function that a program cannot do without."""
    return s32(a + b)


@kfunc(hooks=("syscall",))
def module_double(a: s32) -> s32:
    """A function that a program asks for before it calls it."""
    return s32(2 * a)


@kfunc(hooks=("xdp",))
def module_xdp(a: s32) -> s32:
    """A function for other programs."""
    return a


def session(**options):
    return Session(read(OBJECT), Options(kernel="6.18.44", **options))


def result(session, program):
    """Load the program alone and run it; what it returns."""
    session.load([program])
    return session.run(program, RunOptions()).r0


@pytest.mark.parametrize("registration", ["eager", "lazy"])
@pytest.mark.parametrize("where", ["builtin", "module"])
def test_a_program_calls_a_kfunc_of_a_module_and_holds_it(where, registration):
    run = session(btf_vmlinux=where, kfunc_registration=registration)
    module = run.boot().modules.load("adder", kfuncs=[module_add])
    run.kernel.sysfs.btf["vmlinux"].stat()  # a loader reads the kernel's types first

    assert result(run, "strong") == 42

    image = run.images["strong"]
    assert (image.calls[0].module, module.references) == ("adder", 1)
    with pytest.raises(InputError) as caught:
        run.kernel.modules.unload("adder")
    assert caught.value.errno == errno.EBUSY
    run.kernel.btf.release(image)
    run.kernel.modules.unload("adder")
    assert module.state is ModuleState.GONE


def test_without_the_module_a_strong_kfunc_refuses_the_program():
    with pytest.raises(BindError, match="'module_add': not found in kernel or module BTFs"):
        result(session(), "strong")


def test_a_weak_kfunc_that_is_absent_present_and_appears_later():
    absent = session()
    assert result(absent, "weak") == 7

    present = session()
    present.boot().modules.load("doubler", kfuncs=[module_double])
    assert result(present, "weak") == 42

    absent.kernel.modules.load("doubler", kfuncs=[module_double])
    assert absent.run("weak", RunOptions()).r0 == 7  # what is bound stays bound
    later = absent.bind("weak")
    assert later.calls[0].module == "doubler"


def test_a_module_function_of_another_prototype_is_not_the_one():
    @kfunc(hooks=("syscall",))
    def module_double(a: s32, b: s32) -> s32:
        return a

    run = session()
    run.boot().modules.load("doubler", kfuncs=[module_double])

    assert result(run, "weak") == 7


def test_two_modules_with_overlapping_ids_are_told_apart():
    run = session()
    modules = run.boot().modules
    modules.load("one", kfuncs=[module_add])
    modules.load("two", kfuncs=[module_double])

    run.load(["strong", "weak"])

    ids = {name: run.images[name].calls[0].btf_id for name in ("strong", "weak")}
    assert ids["strong"] - ids["weak"] in (0, 1)  # their prototypes differ in one type at most
    assert run.run("strong", RunOptions()).r0 == 42
    assert run.run("weak", RunOptions()).r0 == 42


def test_modules_of_the_options_are_loaded_first(package, tmp_path):
    """An installed package, and a file that /sys/kernel/btf would show."""
    first = session()
    blob = first.boot().modules.load("adder", kfuncs=[module_add]).btf.data
    (tmp_path / "from-file.btf").write_bytes(blob)

    run = session(modules=("box_mod", str(tmp_path / "from-file.btf")))

    assert list(run.boot().modules) == ["box_mod", "from_file"]
    assert run.kernel.has_modules
    assert not session().boot().has_modules


def test_a_kernel_without_modules_binds_as_ever():
    run = session()
    assert run.boot() is run.boot()

    assert run.bind_options().modules == {}
    run.kernel.modules.load("adder", kfuncs=[module_add])
    assert list(run.bind_options().modules) == ["adder"]


def test_late_vmlinux_btf_that_never_comes_refuses_what_needs_it():
    run = session(btf_vmlinux="module")
    run.boot().btf.vmlinux.provide(lambda: None)

    assert result(run, "weak") == 7  # its weak call is dropped: no types are needed

    run = session(btf_vmlinux="module")
    modules = run.boot().modules
    modules.load("adder", kfuncs=[module_add])
    run.kernel.btf.vmlinux.provide(lambda: None)
    with pytest.raises(BindError, match="not found in kernel or module BTFs"):
        result(run, "strong")


def test_a_kfunc_of_other_program_types_is_not_allowed():
    run = session()
    run.boot().modules.load("adder", kfuncs=[module_add, module_xdp])
    run.kernel.btf.kfuncs.unregister("adder")

    with pytest.raises(BindError, match="calling kernel function module_add is not allowed"):
        result(run, "strong")
