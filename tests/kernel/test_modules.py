"""Modules: loading, unloading, split BTF, distilled bases: BTF notes 6 and every row of 11.3."""

import errno

import pytest

from bpfemu.btf import Btf, BtfBuilder, IntEncoding, Struct
from bpfemu.errors import InputError
from bpfemu.kernel.btf_notifier import ModuleBtf, ModuleState
from bpfemu.kernel.btf_objects import find_module_btfs
from bpfemu.kernel.modules import TEXT_BASE
from bpfemu.kernel.registration import KfuncId, KfuncSet
from bpfemu.proto.flags import KF_ACQUIRE, KF_RET_NULL
from bpfemu.proto.marks import helper, kfunc
from bpfemu.proto.types import Ptr, s32, u64
from bpfemu.proto.types import Struct as Declared
from tests.btf.samples import blob
from tests.btf.samples import words as raw_words
from tests.kernel.btf_parts import (
    BAD,
    TRACING,
    XDP,
    broken_module,
    kernel_btf,
    own_ids,
    plain_module,
    vmlinux,
)

COUNT, STRINGS = 8, vmlinux().strings_size  # ids of vmlinux() with void, and its string bytes


def refused(number):
    return pytest.raises(OSError, match=rf"Errno {number}\]")


@pytest.fixture
def kernel():
    return kernel_btf()


# --- row 1: COMING, LIVE, GOING -----------------------------------------------------------------


def test_loading_has_its_side_effects_in_the_kernels_order(kernel):
    """The id and the file are there before init runs; pinning works after it."""
    seen = {}

    def init(module):
        seen["state"] = module.state
        seen["id"] = kernel.objects.next_id(1)
        seen["listed"] = kernel.sysfs.listdir()
        with refused(errno.ENXIO):
            kernel.pin("mod")
        return 0

    module = kernel.modules.load("mod", plain_module(vmlinux(), "f"), ["f"], init=init)

    assert seen == {"state": ModuleState.COMING, "id": 2, "listed": ["mod", "vmlinux"]}
    assert module.history == [
        "COMING",
        "id 2",
        "sysfs mod",
        "kfuncs for common: 0",
        "init 0",
        "LIVE",
    ]
    assert kernel.pin("mod") is module
    assert module.state is ModuleState.LIVE


def test_unloading_takes_the_id_then_the_file(kernel):
    module = kernel.modules.load("mod", plain_module(vmlinux(), "f"), ["f"])
    found = module.btf

    kernel.modules.unload("mod")

    assert module.history[-3:] == ["GOING", "id 2 freed", "sysfs mod removed"]
    assert module.state is ModuleState.GONE
    assert kernel.objects.ids() == [1]
    assert kernel.sysfs.listdir() == ["vmlinux"]
    assert found.freed
    assert kernel.kfuncs.use("mod", 12, TRACING) is None
    assert "mod" not in kernel.modules
    with refused(errno.ENOENT):
        kernel.objects.fd_by_id(2)


def test_an_open_descriptor_keeps_the_data_of_a_module_that_is_gone(kernel):
    data = plain_module(vmlinux(), "f")
    kernel.modules.load("mod", data)
    fd = kernel.objects.fd_by_id(2)
    file = kernel.sysfs.open("/sys/kernel/btf/mod")

    kernel.modules.unload("mod")

    info = kernel.objects.info(fd, data_size=1 << 20, name=True, name_size=64)
    assert (info.id, info.btf, info.name) == (0, data, "mod")
    with refused(errno.ENODEV):
        file.read(1)
    found = kernel.objects.at_fd(fd)
    kernel.objects.close(fd)
    assert found.freed


def test_a_failed_init_undoes_the_loading(kernel):
    data = plain_module(vmlinux(), "f")

    with pytest.raises(InputError, match="module mod: its init returned -5") as caught:
        kernel.modules.load("mod", data, ["f"], init=lambda module: -errno.EIO)

    assert caught.value.errno == errno.EIO
    assert len(kernel.modules) == 0
    assert kernel.objects.ids() == [1]
    assert kernel.sysfs.listdir() == ["vmlinux"]
    assert list(kernel.kfuncs.records()) == []
    assert kernel.modules.load("mod", data).btf.id == 3


# --- row 2: the file ----------------------------------------------------------------------------


def test_the_file_is_the_split_blob_and_cannot_be_mapped(kernel):
    data = plain_module(vmlinux(), "f")
    kernel.modules.load("my-mod", data)

    file = kernel.sysfs.btf["my_mod"]

    assert (file.stat().st_mode, file.stat().st_size) == (0o100444, len(data))
    assert file.read() == data
    with refused(errno.ENODEV):
        file.mmap(1)
    assert list(kernel.modules) == ["my_mod"]
    assert "my-mod" in kernel.modules
    assert kernel.modules["my-mod"].name == "my_mod"


def test_a_file_that_cannot_be_made_is_only_a_warning(kernel):
    """A module named like the kernel's own file."""
    module = kernel.modules.load("vmlinux", plain_module(vmlinux(), "f"))

    assert module.state is ModuleState.LIVE
    assert kernel.dmesg == ["failed to register module [vmlinux] BTF in sysfs: -17"]
    kernel.modules.unload("vmlinux")
    assert kernel.sysfs.listdir() == ["vmlinux"]


# --- row 3: ids and names -----------------------------------------------------------------------


def test_ids_and_strings_continue_those_of_vmlinux(kernel):
    data = plain_module(vmlinux(), "put_task", "f")

    btf = kernel.modules.load("mod", data).btf.btf

    assert (btf.start_id, btf.start_str_off) == (COUNT, STRINGS)
    assert btf.type(COUNT) == Struct("own", 4, btf.type(COUNT).members)
    assert b"put_task" not in data  # the name lives in the strings of vmlinux
    assert btf.type(COUNT + 3).name == "put_task"
    fd = kernel.objects.fd_by_id(2)
    assert kernel.objects.info(fd, data_size=1 << 20).btf == data


def test_modules_with_overlapping_ids_coexist(kernel):
    one = kernel.modules.load("one", plain_module(vmlinux(), "f_one"), ["f_one"])
    two = kernel.modules.load("two", plain_module(vmlinux(), "f_two"), ["f_two"])
    id = own_ids(one.btf.btf)["f_one"]
    assert id == own_ids(two.btf.btf)["f_two"]

    found = [kernel.kfuncs.use(name, id, XDP) for name in ("one", "two")]

    assert [record.owner for record in found] == ["one", "two"]
    assert list(kernel.modules.btfs()) == ["one", "two"]
    kernel.modules.unload("one")
    assert kernel.kfuncs.use("two", id, XDP)
    assert kernel.modules.btfs()["two"].type(id).name == "f_two"


def test_libbpf_sees_the_loaded_modules(kernel):
    kernel.modules.load("one", plain_module(vmlinux(), "f"))
    kernel.modules.load("bare", has_exit=True)
    kernel.modules.load("two", plain_module(vmlinux(), "f"))

    assert list(find_module_btfs(kernel.objects, vmlinux())) == ["one", "two"]


# --- row 4: invalid BTF -------------------------------------------------------------------------


def wrong_base():
    """Built against another kernel: a name starts in the middle of a word."""
    other = BtfBuilder()
    other.int_("x" * 40, 4)
    return plain_module(other.build(), "f")


INVALID = {
    "wrong base": (wrong_base(), errno.EINVAL),
    "nonsense": (b"nonsense" * 8, errno.EINVAL),
    "cut off": (plain_module(vmlinux(), "f")[:-1], errno.EINVAL),
    "version 2": (plain_module(vmlinux(), "f").replace(b"\x9f\xeb\1", b"\x9f\xeb\2", 1), 524),
}


@pytest.mark.parametrize(("data", "number"), INVALID.values(), ids=INVALID)
def test_invalid_btf_fails_the_load_with_the_parse_errno(kernel, data, number):
    with pytest.raises(InputError, match=r"failed to validate module \[mod\] BTF: -") as caught:
        kernel.modules.load("mod", data)

    assert caught.value.errno == number
    assert kernel.dmesg[-1] == f"failed to validate module [mod] BTF: {-number}"
    assert kernel.dmesg[0].startswith("BPF: mod: ")
    assert len(kernel.modules) == 0
    assert kernel.objects.ids() == [1]


def test_with_the_mismatch_option_the_module_loads_without_btf_and_one_line_is_said():
    kernel = kernel_btf(btf_mismatch=True)

    for name in ("one", "two"):
        module = kernel.modules.load(name, wrong_base(), ["f"])
        assert (module.state, module.btf_state) == (ModuleState.LIVE, ModuleBtf.REJECTED)
        assert (module.btf, module.errno) == (None, errno.EINVAL)

    said = [line for line in kernel.dmesg if "mismatch" in line]
    assert len(said) == 1
    assert said[0].startswith("Kernel module BTF mismatch detected, ")
    assert kernel.dmesg.count("missing module BTF, cannot register kfunc") == 2
    assert kernel.sysfs.listdir() == ["vmlinux"]
    with refused(errno.ENXIO):
        kernel.pin("one")


@pytest.mark.parametrize(
    "data",
    [blob(b"", b""), blob(b"", b"\0"), blob(raw_words(0, 2 << 24, 9999), b"")],
    ids=["header only", "empty types", "a dangling reference"],
)
def test_what_looks_odd_and_is_legal_in_a_module(kernel, data):
    assert kernel.modules.load("mod", data).btf.id == 2


def test_a_module_on_a_kernel_whose_btf_is_missing_or_malformed():
    """vmlinux BTF missing: EINVAL; broken: its error, here a version the kernel does not know."""
    data = plain_module(vmlinux(), "f")
    for supply, number in [
        (lambda: None, errno.EINVAL),
        (lambda: vmlinux().raw.replace(b"\x9f\xeb\1", b"\x9f\xeb\2", 1), 524),
    ]:
        kernel = kernel_btf(provider=supply)
        with pytest.raises(InputError) as caught:
            kernel.modules.load("mod", data)
        assert caught.value.errno == number


def test_a_kernel_without_btf_ignores_that_of_modules():
    kernel = kernel_btf(provider=None, btf=None)

    module = kernel.modules.load("mod", plain_module(vmlinux(), "f"))

    assert (module.state, module.btf, kernel.dmesg) == (ModuleState.LIVE, None, [])


# --- row 5: a distilled base --------------------------------------------------------------------


def distilled_module():
    """Its base has task_struct and int; id 3 is the module's first type, 5 its function."""
    base = BtfBuilder()
    base.struct("task_struct", 8, [])
    base.int_("int", 4, IntEncoding.SIGNED)
    base_btf = base.build()
    split = BtfBuilder(base_btf)
    pointer = split.ptr(1)
    proto = split.func_proto(2, [("task", pointer)])
    split.func("mine", proto, 0)
    return split.encode(), base_btf.raw


def test_a_distilled_base_is_relocated_and_ids_are_translated(kernel):
    data, base = distilled_module()

    module = kernel.modules.load("mod", data, [KfuncId(5, KF_ACQUIRE)], base=base)

    btf = module.btf.btf
    assert btf.base is kernel.vmlinux.ready.btf
    assert (btf.type(COUNT).type, btf.type(COUNT + 1).ret) == (2, 1)
    assert btf.type(COUNT + 2).name == "mine"
    found = kernel.kfuncs.use("mod", COUNT + 2, TRACING)
    assert (found.id, found.kfunc.flags) == (COUNT + 2, KF_ACQUIRE)
    assert kernel.modules.find_symbol("mine") == TEXT_BASE


def test_sysfs_shows_the_relocated_bytes_of_the_same_length(kernel):
    data, base = distilled_module()
    kernel.modules.load("mod", data, base=base)

    shown = kernel.sysfs.btf["mod"].read()

    assert len(shown) == len(data)
    assert shown != data
    assert Btf.parse(shown, vmlinux()).type(COUNT + 2).name == "mine"


def test_a_distilled_type_that_the_kernel_lacks_fails_the_load(kernel):
    base = BtfBuilder()
    base.struct("no_such_struct", 8, [])
    split = BtfBuilder(base.build())
    split.ptr(1)

    with pytest.raises(InputError) as caught:
        kernel.modules.load("mod", split.encode(), base=base.encode())

    assert caught.value.errno == errno.EINVAL
    assert "is not mapped to base BTF id" in kernel.dmesg[0]


def test_a_malformed_distilled_base_fails_the_load(kernel):
    with pytest.raises(InputError):
        kernel.modules.load("mod", distilled_module()[0], base=b"nonsense" * 8)
    assert "mod .BTF.base" in kernel.dmesg[0]


# --- row 6: who holds a module ------------------------------------------------------------------


def test_a_pinned_module_cannot_be_unloaded(kernel):
    kernel.modules.load("mod", plain_module(vmlinux(), "f"))
    pinned = kernel.pin("mod")

    with pytest.raises(InputError, match=r"mod is in use by 1 program") as caught:
        kernel.modules.unload("mod")
    assert caught.value.errno == errno.EBUSY
    with pytest.raises(InputError, match="mod is in use") as caught:
        kernel.modules.delete_module("mod")
    assert caught.value.errno == errno.EAGAIN

    kernel.unpin(pinned)
    kernel.modules.unload("mod")
    with refused(errno.ENXIO):
        kernel.pin("mod")


def test_a_module_with_init_and_without_exit_cannot_be_unloaded(kernel):
    kernel.modules.load("mod", has_exit=False)

    with pytest.raises(InputError, match="cannot be unloaded") as caught:
        kernel.modules.unload("mod")
    assert caught.value.errno == errno.EBUSY


def test_a_module_that_is_still_coming_cannot_be_unloaded(kernel):
    def init(module):
        with pytest.raises(InputError) as caught:
            kernel.modules.delete_module("mod")
        return -caught.value.errno

    with pytest.raises(InputError, match="its init returned -16"):
        kernel.modules.load("mod", init=init)


# --- row 7: candidates --------------------------------------------------------------------------


def test_a_new_module_makes_missing_types_findable_and_takes_them_away(kernel):
    assert kernel.candidates.find("own", Struct) == ()

    module = kernel.modules.load("mod", plain_module(vmlinux(), "f"))

    assert kernel.candidates.find("own___flavour", Struct) == ((module.btf, COUNT),)
    kernel.modules.unload("mod")
    assert kernel.candidates.find("own", Struct) == ()


# --- what a person may give ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "number"), [("", errno.EINVAL), ("x" * 56, errno.EINVAL), ("mod", errno.EEXIST)]
)
def test_names_that_no_module_may_have(kernel, name, number):
    kernel.modules.load("mod")

    with pytest.raises(InputError) as caught:
        kernel.modules.load(name)
    assert caught.value.errno == number
    assert kernel.modules.load("x" * 55).name == "x" * 55


def test_a_module_that_is_not_loaded(kernel):
    for use in (kernel.modules.unload, kernel.modules.__getitem__):
        with pytest.raises(InputError, match="no module 'mod' is loaded") as caught:
            use("mod")
        assert caught.value.errno == errno.ENOENT


class thing(Declared):
    """A struct of the module's own."""

    value: u64


class task_struct(Declared):
    """As the kernel has it: not described again."""

    pid: s32


@kfunc(KF_ACQUIRE | KF_RET_NULL, hooks=("tracing", "xdp"))
def thing_of(task: Ptr[task_struct]) -> Ptr[thing]: ...


@helper(9999)
def bpf_no_kfunc() -> u64: ...


def test_kfuncs_declared_in_python_bring_their_own_split_btf(kernel):
    module = kernel.modules.load("things", kfuncs=[thing_of])

    btf = module.btf.btf
    ids = own_ids(btf)
    proto = btf.func_proto(ids["thing_of"])
    assert btf.type(btf.type(proto.ret).type).name == "thing"
    assert btf.type(proto.params[0].type).type == 2  # the kernel's task_struct
    assert btf.decl_tags(ids["thing_of"]) == [("bpf_kfunc", -1)]
    found = kernel.kfuncs.use("things", ids["thing_of"], XDP)
    assert found.kfunc.flags == KF_ACQUIRE | KF_RET_NULL
    catalog = kernel.modules.catalog(kernel.catalog)
    assert catalog.find_kfunc("thing_of", kernel.config.profile).body is thing_of
    kernel.modules.unload("things")
    assert kernel.modules.catalog(kernel.catalog) is kernel.catalog


def test_kfuncs_by_name_id_and_set(kernel):
    data = plain_module(vmlinux(), "f", "g", "h")
    ids = own_ids(Btf.parse(data, vmlinux()))
    xdp = KfuncSet("xdp", (KfuncId("h"),))

    kernel.modules.load("mod", data, ["f", ids["g"], KfuncId("f", 4), xdp])

    use = kernel.kfuncs.use
    assert use("mod", ids["f"], TRACING)
    assert use("mod", ids["g"], TRACING)
    assert use("mod", ids["h"], TRACING) is None
    assert use("mod", ids["h"], XDP)


@pytest.mark.parametrize("odd", [None, 1.5, bpf_no_kfunc])
def test_what_is_no_kfunc_is_named(kernel, odd):
    with pytest.raises(InputError, match="a kfunc is a function marked @kfunc"):
        kernel.modules.load("mod", plain_module(vmlinux(), "f"), [odd])


def test_symbols_are_addresses_or_bytes(kernel):
    placed = {}

    def place(name, data):
        placed[name] = data
        return 0x1000

    kernel.modules._place = place
    kernel.modules.load("mod", ksyms={"there": 0xFFFF_0000, "value": b"\1\2"})

    assert kernel.find_symbol("there") == 0xFFFF_0000
    assert kernel.find_symbol("value") == 0x1000
    assert placed == {"value": b"\1\2"}
    kernel.modules.unload("mod")
    assert kernel.find_symbol("there") is None


def test_functions_of_modules_get_addresses_of_their_own(kernel):
    data = plain_module(vmlinux(), "f", "g")
    kernel.modules.load("mod", data, ["f", "g"], ksyms={"g": 0x77})

    assert kernel.find_symbol("f") == TEXT_BASE
    assert kernel.find_symbol("g") == 0x77
    assert kernel.find_symbol("put_task") == 0xFFFF_FFFF_8100_0000 + 16 * 5


def test_ids_that_have_no_name_have_no_address():
    """Lazily, wrong ids are registered: no function, a prototype with a name that is none."""
    b = BtfBuilder(vmlinux())
    b.func_proto(0, [("p", 1)])
    odd = bytearray(b.encode())
    odd[24 + 12 : 24 + 16] = b"\xff\xff\xff\x0f"  # the parameter's name offset
    kernel = kernel_btf(kfunc_registration="lazy")

    module = kernel.modules.load("mod", bytes(odd), [COUNT, 1, 999])

    assert module.symbols == {}


def test_without_memory_a_symbol_cannot_have_bytes(kernel):
    with pytest.raises(InputError, match="no memory to put it in"):
        kernel.modules.load("mod", ksyms={"value": b"x"})


def test_destructors_are_registered(kernel):
    b = BtfBuilder(vmlinux())
    b.func("drop", b.func_proto(0, [("p", b.ptr(2))]), 0)

    kernel.modules.load("mod", b.encode(), destructors=[(2, COUNT + 2)])

    assert kernel.kfuncs.destructor("mod", 2) == COUNT + 2


def test_a_module_that_is_broken_is_refused_eagerly(kernel):
    data = broken_module(vmlinux(), "good")

    with pytest.raises(InputError, match="its init returned -22"):
        kernel.modules.load("mod", data, ["good", KfuncId(*BAD)])
