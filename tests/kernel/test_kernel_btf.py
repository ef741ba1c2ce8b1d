"""vmlinux BTF late, kfuncs lazily: every row of BTF notes 11.2; programs and modules."""

import errno
import threading
from types import SimpleNamespace

import pytest

from bpfemu.btf import Struct
from bpfemu.errors import BindError, InputError
from bpfemu.image import CallTarget
from bpfemu.kernel.btf_notifier import ModuleBtf, ModuleState
from bpfemu.kernel.config import KernelConfig
from bpfemu.kernel.kernel import Kernel
from bpfemu.kernel.registration import KfuncId, RecordState
from bpfemu.kernel.vmlinux_state import CARRIER, BtfLink, BtfState
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.marks import kfunc
from bpfemu.proto.profile import PROFILES
from bpfemu.proto.types import Ptr, s32
from bpfemu.proto.types import Struct as Declared
from tests.kernel.btf_parts import (
    BAD,
    RAW_TRACEPOINT,
    TRACING,
    XDP,
    broken_module,
    kernel_btf,
    own_ids,
    plain_module,
    vmlinux,
)

PLAIN, BROKEN = plain_module(vmlinux(), "f"), broken_module(vmlinux(), "good")
NOT_CONFIGURED = "calling kernel function is not supported without CONFIG_DEBUG_INFO_BTF"


class task_struct(Declared):
    pid: s32
    tgid: s32


@kfunc(hooks=("tracing",))
def put_task(task: Ptr[task_struct]) -> None: ...


@kfunc(hooks=("common",))
def id_of(task: Ptr[task_struct]) -> s32: ...


@kfunc(hooks=("common",))
def not_in_this_kernel(task: Ptr[task_struct]) -> s32: ...


@kfunc(hooks=("common",))
def f(it: Ptr[task_struct]) -> s32: ...


CATALOG = Catalog.of(put_task, id_of, not_in_this_kernel)
SPECS = {**CATALOG.kfuncs, **Catalog.of(f).kfuncs}
PUT, GET = 5, 7  # ids in vmlinux()


def program(*calls, prog_type=TRACING, **facts):
    """An image as far as loading looks at it: calls are (name, id) or (name, id, module)."""
    targets = tuple(
        CallTarget(name, SPECS.get(name, SPECS["f"])[0], btf_id=id, module=(*module, "")[0])
        for name, id, *module in calls
    )
    given = {"ksyms": (), "attach_btf_id": 0, **facts}
    return SimpleNamespace(name="prog", prog_type=prog_type, calls=targets, **given)


def late(**options):
    """A kernel whose BTF is a module, and whose kfuncs are checked at first use."""
    words = {"btf_vmlinux": "module", "kfunc_registration": "lazy", "catalog": CATALOG}
    return kernel_btf(**{**words, **options})


class Counted:
    """A provider that counts how often it is asked."""

    def __init__(self, blob=None):
        self.blob = vmlinux().raw if blob is None else blob
        self.asked = 0

    def __call__(self):
        self.asked += 1
        return self.blob or None


# --- row 1 --------------------------------------------------------------------------------------


def test_eagerly_a_broken_kfunc_fails_the_modules_init_with_einval():
    kernel = kernel_btf()

    with pytest.raises(InputError, match="its init returned -22") as caught:
        kernel.modules.load("mod", BROKEN, ["good", KfuncId(*BAD)])

    assert caught.value.errno == errno.EINVAL
    assert len(kernel.modules) == 0


def test_eagerly_a_module_without_btf_only_warns():
    kernel = kernel_btf()

    module = kernel.modules.load("mod", b"", ["good"])

    assert module.state is ModuleState.LIVE
    assert kernel.dmesg == ["missing module BTF, cannot register kfunc"]


# --- row 2 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["builtin", "module"])
def test_lazily_registration_succeeds_and_the_first_program_gets_the_error(where):
    kernel = late(btf_vmlinux=where)
    module = kernel.modules.load("mod", BROKEN, ["good", KfuncId(*BAD)])
    assert module.state is ModuleState.LIVE
    kernel.vmlinux_btf()
    bad = own_ids(module.btf.btf)["bpf_iter_bad_new"]

    for _ in range(2):
        with pytest.raises(BindError, match="has 4 bytes, must fill 8-byte slots") as caught:
            kernel.admit(program(("bpf_iter_bad_new", bad, "mod")))
        assert caught.value.errno == errno.EINVAL

    assert module.references == 0
    assert len([line for line in kernel.dmesg if "4 bytes" in line]) == 1


# --- row 3 and 4 --------------------------------------------------------------------------------


def test_lazily_the_other_kfuncs_of_a_set_stay_usable():
    kernel = late(btf_vmlinux="builtin")
    module = kernel.modules.load("mod", BROKEN, ["good", KfuncId(*BAD)])

    kernel.admit(program(("good", own_ids(module.btf.btf)["good"], "mod")))

    assert module.references == 1


def test_a_broken_kfunc_that_nobody_uses_is_never_reported():
    kernel = late(btf_vmlinux="builtin")
    module = kernel.modules.load("mod", BROKEN, ["good", KfuncId(*BAD)])
    image = program(("good", own_ids(module.btf.btf)["good"], "mod"))

    kernel.admit(image)
    kernel.release(image)
    kernel.modules.unload("mod")

    assert kernel.dmesg == []


# --- row 5 --------------------------------------------------------------------------------------


def needs():
    """Everything that makes a kernel load its BTF."""
    return {
        "sysfs open": lambda kernel: kernel.sysfs.open("/sys/kernel/btf/vmlinux").close(),
        "sysfs stat": lambda kernel: kernel.sysfs.btf["vmlinux"].stat(),
        "sysfs mmap": lambda kernel: kernel.sysfs.btf["vmlinux"].mmap(1),
        "a kfunc call": lambda kernel: kernel.admit(program(("id_of", GET))),
        "an attach target": lambda kernel: kernel.admit(program(attach_btf_id=PUT)),
        "CO-RE in the kernel": lambda kernel: kernel.candidates.find("task_struct", Struct),
    }


@pytest.mark.parametrize("need", needs().values(), ids=needs())
def test_the_first_need_loads_the_btf_and_the_second_is_served_from_it(need):
    supply = Counted()
    kernel = late(btf=vmlinux(), provider=supply, profile=PROFILES["6.18.44"])
    assert (kernel.vmlinux.state, supply.asked) == (BtfState.AVAILABLE, 0)
    assert kernel.sysfs.listdir() == ["vmlinux"]  # listed before it is loaded
    assert kernel.objects.ids() == []

    need(kernel)
    need(kernel)

    assert (kernel.vmlinux.state, kernel.vmlinux.parses, supply.asked) == (BtfState.READY, 1, 1)
    assert kernel.objects.ids() == [1]
    assert CARRIER in kernel.modules


def test_many_needs_at_once_load_it_once():
    supply = Counted()
    kernel = late(btf=vmlinux(), provider=supply, profile=PROFILES["6.18.44"])
    threads = [threading.Thread(target=need, args=(kernel,)) for need in needs().values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (kernel.vmlinux.parses, supply.asked) == (1, 1)


def test_built_in_btf_is_served_once_too():
    kernel = kernel_btf(catalog=CATALOG, profile=PROFILES["6.18.44"])

    for need in needs().values():
        need(kernel)

    assert kernel.vmlinux.parses == 1
    assert CARRIER not in kernel.modules


# --- row 6 --------------------------------------------------------------------------------------


def test_an_early_module_never_gets_its_btf_when_that_is_ignored():
    """The first proposal: later modules get theirs, earlier ones never do."""
    kernel = late(early_module_btf="ignore", kfunc_registration="eager")
    early = kernel.modules.load("early", PLAIN, ["f"])
    assert (early.state, early.btf_state) == (ModuleState.LIVE, ModuleBtf.NONE)
    assert kernel.dmesg == ["missing module BTF, cannot register kfunc"]

    kernel.vmlinux_btf()
    late_module = kernel.modules.load("later", PLAIN, ["f"])

    assert (early.btf, late_module.btf.id) == (None, 2)
    assert kernel.sysfs.listdir() == ["later", "vmlinux"]
    with pytest.raises(
        BindError, match="module early is not live: its BTF cannot be used"
    ) as caught:
        kernel.admit(program(("f", 12, "early")))
    assert caught.value.errno == errno.ENXIO


@pytest.mark.parametrize("registration", ["eager", "lazy"])
def test_an_early_modules_btf_is_kept_until_vmlinux_btf_arrives(registration):
    """Ids are given then, in the order of loading; the modules' kfuncs work from there on."""
    kernel = late(kfunc_registration=registration)
    one = kernel.modules.load("one", PLAIN, ["f"])
    two = kernel.modules.load("two", PLAIN, ["f"])
    assert (one.state, one.btf_state, one.btf) == (ModuleState.LIVE, ModuleBtf.STASHED, None)
    assert kernel.sysfs.listdir() == ["vmlinux"]

    kernel.vmlinux_btf()

    assert (kernel.vmlinux.ready.id, one.btf.id, two.btf.id) == (1, 2, 3)
    assert one.btf_state is ModuleBtf.PARSED
    assert kernel.sysfs.listdir() == ["one", "two", "vmlinux"]
    kernel.admit(program(("f", own_ids(one.btf.btf)["f"], "one")))
    assert one.references == 1
    assert kernel.dmesg == []


def test_when_btf_arrives_a_wrong_module_blob_is_rejected_and_the_module_stays():
    kernel = late()
    wrong = kernel.modules.load("wrong", b"nonsense" * 8, ["f"])
    right = kernel.modules.load("right", PLAIN)

    kernel.vmlinux_btf()

    assert (wrong.state, wrong.btf_state, wrong.errno) == (
        ModuleState.LIVE,
        ModuleBtf.REJECTED,
        errno.EINVAL,
    )
    assert "failed to validate module [wrong] BTF: -22" in kernel.dmesg
    assert right.btf.id == 2


def test_when_btf_arrives_queued_kfuncs_are_checked_and_a_broken_set_is_refused():
    """Eagerly, with registrations kept and replayed: said then, and the module stays."""
    kernel = late(kfunc_registration="eager")
    module = kernel.modules.load("mod", BROKEN, ["good", KfuncId(*BAD)])
    assert module.history[-3:] == ["kfuncs queued", "init 0", "LIVE"]
    assert kernel.dmesg == []

    kernel.vmlinux_btf()

    assert kernel.dmesg == ["module mod: registering its kfuncs failed: -22"]
    assert module.btf.id == 2
    with pytest.raises(BindError, match="calling kernel function good is not allowed") as caught:
        kernel.admit(program(("good", own_ids(module.btf.btf)["good"], "mod")))
    assert caught.value.errno == errno.EACCES


def test_a_module_that_goes_before_btf_arrives_takes_its_bytes_and_records_along():
    for registration in ("eager", "lazy"):
        kernel = late(kfunc_registration=registration)
        module = kernel.modules.load("mod", PLAIN, ["f"])

        kernel.modules.unload("mod")
        kernel.vmlinux_btf()

        assert module.btf_state is ModuleBtf.NONE
        assert kernel.objects.ids() == [1]
        assert list(kernel.kfuncs.records("mod")) == []


def test_a_module_whose_init_needs_the_btf_brings_it_in():
    """Coming, not live: its BTF has an id, but programs cannot pin it yet."""
    kernel = late()
    seen = []

    def init(module):
        kernel.vmlinux_btf()
        seen.append((module.btf.id, module.live_flag))
        return 0

    module = kernel.modules.load("mod", PLAIN, init=init)

    assert seen == [(2, False)]
    assert module.live_flag


# --- row 7 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("blob", [b"", b"nonsense" * 20])
def test_without_btf_programs_that_need_no_types_still_load(blob):
    kernel = late(provider=Counted(blob))

    kernel.admit(program())

    assert kernel.vmlinux.parses == 0  # nobody even tried
    with pytest.raises(BindError, match=NOT_CONFIGURED) as caught:
        kernel.admit(program(("id_of", GET)))
    assert caught.value.errno == 524
    assert kernel.vmlinux.state is BtfState.FAILED
    with pytest.raises(BindError, match="kernel has no BTF") as caught:
        kernel.admit(program(attach_btf_id=PUT))
    assert caught.value.errno == errno.EINVAL
    assert kernel.candidates.find("task_struct", Struct) == ()


def test_without_btf_there_is_no_file_of_it():
    """The name was listed while the BTF could be had."""
    kernel = late(provider=Counted(b""))
    assert kernel.sysfs.listdir() == ["vmlinux"]

    with pytest.raises(FileNotFoundError):
        kernel.sysfs.open("/sys/kernel/btf/vmlinux")

    assert kernel.sysfs.listdir() == []
    assert not kernel.sysfs.exists("/sys/kernel/btf/vmlinux")


def test_btf_that_appears_later_is_found():
    supply = Counted(b"")
    kernel = late(provider=supply)
    with pytest.raises(BindError):
        kernel.admit(program(("id_of", GET)))

    supply.blob = vmlinux().raw

    kernel.admit(program(("id_of", GET)))
    assert kernel.sysfs.btf["vmlinux"].read() == vmlinux().raw


def test_a_kernel_built_without_btf_refuses_kfuncs_and_has_no_folder():
    kernel = kernel_btf(provider=None, btf=None, catalog=CATALOG)

    kernel.admit(program())
    with pytest.raises(BindError, match=NOT_CONFIGURED):
        kernel.admit(program(("id_of", GET)))
    with pytest.raises(FileNotFoundError):
        kernel.sysfs.listdir()
    assert kernel.dmesg == []


def test_built_in_btf_that_is_malformed_is_shown_but_not_used():
    broken = vmlinux().raw[:-1]
    kernel = kernel_btf(provider=lambda: broken, catalog=CATALOG)

    with pytest.raises(BindError, match=NOT_CONFIGURED):
        kernel.admit(program(("id_of", GET)))
    assert kernel.sysfs.btf["vmlinux"].read() == broken


def test_built_in_btf_that_is_missing_is_a_line_per_set():
    kernel = kernel_btf(provider=lambda: None, catalog=CATALOG)

    assert set(kernel.dmesg) == {"missing vmlinux BTF, cannot register kfunc"}
    with pytest.raises(FileNotFoundError):
        kernel.sysfs.btf["vmlinux"].open()


# --- row 8 --------------------------------------------------------------------------------------


def test_the_carrier_cannot_be_unloaded():
    kernel = late(provider=None, btf=None)
    assert kernel.vmlinux.state is BtfState.ABSENT

    module = kernel.modules.load(CARRIER, vmlinux().raw)

    assert module.state is ModuleState.LIVE
    assert kernel.vmlinux.state is BtfState.READY
    for unload in (kernel.modules.unload, kernel.modules.delete_module):
        with pytest.raises(InputError, match="cannot be unloaded") as caught:
            unload(CARRIER)
        assert caught.value.errno == errno.EBUSY
    with pytest.raises(InputError) as caught:
        kernel.modules.load("btf-vmlinux", vmlinux())
    assert caught.value.errno == errno.EEXIST


def test_a_carrier_with_another_blob_is_refused():
    good = vmlinux().raw
    kernel = late(provider=None, btf=None, link=BtfLink.of(good))

    for bad in (good + b"\0", good[:-2] + b"X\0", plain_module(vmlinux(), "f")):
        with pytest.raises(InputError, match="does not belong to this kernel") as caught:
            kernel.modules.load(CARRIER, bad)
        assert caught.value.errno == errno.EINVAL
        assert CARRIER not in kernel.modules

    kernel.modules.load(CARRIER, good)
    assert kernel.vmlinux.state is BtfState.READY


def test_a_carrier_without_btf_or_for_a_kernel_that_has_it(tmp_path):
    with pytest.raises(InputError, match="it has no BTF"):
        late().modules.load(CARRIER)
    with pytest.raises(InputError, match="built in") as caught:
        kernel_btf().modules.load(CARRIER, vmlinux())
    assert caught.value.errno == errno.EEXIST
    (tmp_path / "btf_vmlinux.btf").write_bytes(vmlinux().raw)
    kernel = late(provider=None, btf=None)
    kernel.modules.load(CARRIER, tmp_path / "btf_vmlinux.btf")
    assert kernel.vmlinux_btf().btf.find("task_struct") == 2


# --- kfuncs of the kernel itself ----------------------------------------------------------------


@pytest.mark.parametrize("where", ["builtin", "module"])
@pytest.mark.parametrize("registration", ["eager", "lazy"])
def test_the_kernels_own_kfuncs_are_registered_by_hook(where, registration):
    kernel = late(btf_vmlinux=where, kfunc_registration=registration)

    kernel.admit(program(("id_of", GET), ("put_task", PUT)))
    kernel.admit(program(("id_of", GET), prog_type=RAW_TRACEPOINT))

    with pytest.raises(BindError, match="calling kernel function put_task is not allowed"):
        kernel.admit(program(("put_task", PUT), prog_type=XDP))


def test_at_boot_an_eager_kernel_parses_and_a_lazy_one_does_not():
    eager, lazy = kernel_btf(catalog=CATALOG), late(btf_vmlinux="builtin")

    assert (eager.vmlinux.parses, lazy.vmlinux.parses) == (1, 0)
    assert {record.state for record in eager.kfuncs.records()} == {RecordState.VALID}
    assert {record.state for record in lazy.kfuncs.records()} == {RecordState.RECORDED}
    # of what its BTF does not have, the kernel does not have the code
    assert "not_in_this_kernel" not in {record.kfunc.id for record in eager.kfuncs.records()}


def test_a_call_of_something_else_than_a_function():
    kernel = kernel_btf(catalog=CATALOG)

    with pytest.raises(BindError, match="kernel btf_id 2 is not a function") as caught:
        kernel.admit(program(("id_of", 2)))
    assert caught.value.errno == errno.EINVAL


# --- programs hold modules ----------------------------------------------------------------------


def test_a_program_holds_each_module_once_and_until_it_goes():
    kernel = kernel_btf()
    module = kernel.modules.load("mod", PLAIN, ["f"])
    id = own_ids(module.btf.btf)["f"]
    image = program(("f", id, "mod"), ("f", id, "mod"))

    kernel.admit(image)
    kernel.admit(image)

    assert module.references == 1
    with pytest.raises(InputError) as caught:
        kernel.modules.unload("mod")
    assert caught.value.errno == errno.EBUSY
    kernel.release(image)
    kernel.release(image)
    assert module.references == 0
    kernel.modules.unload("mod")


def test_a_program_holds_the_modules_of_its_variables():
    kernel = kernel_btf()
    image = program(ksyms=(("jiffies", 1, ""), ("count", 2, "mod"), ("size", 3, "mod")))
    with pytest.raises(BindError) as caught:
        kernel.admit(image)
    assert caught.value.errno == errno.ENXIO
    module = kernel.modules.load("mod", PLAIN)

    kernel.admit(image)

    assert module.references == 1


def test_a_refused_program_gives_back_what_it_held():
    kernel = kernel_btf()
    module = kernel.modules.load("mod", PLAIN, ["f"])
    id = own_ids(module.btf.btf)["f"]

    with pytest.raises(BindError):
        kernel.admit(program(("f", id, "mod"), ("f", id + 50, "mod")))

    assert module.references == 0


def test_a_module_kfunc_that_appears_later():
    kernel = kernel_btf()
    image = program(("f", 11, "mod"))
    with pytest.raises(BindError) as caught:
        kernel.admit(image)
    assert caught.value.errno == errno.ENXIO

    module = kernel.modules.load("mod", PLAIN, ["f"])
    assert own_ids(module.btf.btf)["f"] == 11

    kernel.admit(image)


def test_poisoned_calls_and_helpers_need_no_types():
    kernel = late(provider=Counted(b""))
    image = program()
    image.calls = (
        CallTarget("weak", SPECS["f"][0], poisoned=True, btf_id=9),
        CallTarget("bpf_get_prandom_u32", None),
    )

    kernel.admit(image)


# --- the kernel that programs run on ------------------------------------------------------------


def small_kernel(btf=None, **config):
    types = vmlinux() if btf is None else btf
    base, size = 0xFFFF_8880_0000_0000, 1 << 20
    return Kernel(
        CATALOG, KernelConfig(**config), kernel_btf=types, arena_base=base, arena_size=size
    )


def test_a_kernel_has_sysfs_and_modules_when_asked():
    kernel = small_kernel(profile=PROFILES["6.18.44"])
    assert kernel._btf is None

    view = kernel.sysfs.btf["vmlinux"].mmap(1).view

    assert bytes(view[: len(vmlinux().raw)]) == vmlinux().raw
    module = kernel.modules.load("mod", PLAIN, ["f"], ksyms={"value": b"\x2a\0\0\0"})
    addr = module.symbols["value"]
    assert kernel.memory.read(addr, 4) == b"\x2a\0\0\0"
    assert kernel.btf.modules is kernel.modules


@pytest.mark.parametrize(
    ("profile", "chosen", "number"),
    [
        ("6.7", "profile", errno.ENODEV),
        ("6.12.0", "profile", errno.ENODEV),
        ("6.18.0", "profile", 0),
        ("6.18.44", "profile", 0),
        ("6.18.44", "none", errno.ENODEV),
        ("6.12.0", "merged", 0),
        ("6.12.0", "v2", 0),
        ("6.12.0", "v3", errno.EFAULT),
    ],
)
def test_the_profile_says_whether_btf_can_be_mapped_and_the_configuration_wins(
    profile, chosen, number
):
    """v3 cannot map less than everything: here one page of two."""
    big = plain_module(vmlinux(), *(f"function_{n}" for n in range(300)))
    assert len(big) > 4096
    kernel = kernel_btf(provider=lambda: big, btf=None, profile=PROFILES[profile], btf_mmap=chosen)

    try:
        kernel.sysfs.btf["vmlinux"].mmap(4096)
        assert number == 0
    except OSError as problem:
        assert problem.errno == number


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("btf_vmlinux", "elsewhere"),
        ("kfunc_registration", "never"),
        ("early_module_btf", "drop"),
        ("btf_mmap", "v4"),
    ],
)
def test_a_word_the_configuration_does_not_know_is_named(name, word):
    with pytest.raises(InputError, match=f"{name} is '{word}', must be one of"):
        KernelConfig(**{name: word})
