"""Registration of kfunc sets, eager and lazy: the tables of BTF notes 5.1 and 5.4."""

import errno

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.btf_objects import BtfObject
from bpfemu.kernel.registration import (
    HOOKS,
    KfuncId,
    KfuncSet,
    KfuncTable,
    RecordState,
    hook_of,
    need_hook,
)
from bpfemu.proto.flags import KF_ITER_NEW
from tests.kernel.btf_parts import RAW_TRACEPOINT, TRACING, XDP, vmlinux

PUT, GET, STRUCT = 5, 7, 2  # put_task, id_of, task_struct in vmlinux()


class Owners:
    """The kernel and two modules; "bare" has no BTF."""

    def __init__(self, configured=True, error=0):
        self.configured = configured
        self.error = error
        self.lines = []
        types = BtfObject(vmlinux())
        self.btfs = {"": types if configured else None, "mod": types, "bare": None}

    def btf_of(self, owner):
        if self.error and not owner:
            raise OSError(self.error, "malformed")
        return self.btfs[owner]

    def btf_configured(self):
        return self.configured

    def log(self, text):
        self.lines.append(text)


def table(lazy=False, **options):
    owners = Owners(**options)
    return KfuncTable(owners, lazy=lazy), owners


def kfunc_set(*ids, hook="tracing", **options):
    return KfuncSet(
        hook, tuple(one if isinstance(one, KfuncId) else KfuncId(one) for one in ids), **options
    )


def test_the_fixture_has_the_functions_this_file_names():
    assert vmlinux().type(PUT).name == "put_task"
    assert vmlinux().type(GET).name == "id_of"


# --- eager --------------------------------------------------------------------------------------


def test_a_good_set_is_registered_and_its_kfuncs_may_be_called():
    kfuncs, _ = table()

    assert kfuncs.register("mod", kfunc_set(PUT, KfuncId("id_of", 4))) == 0

    found = kfuncs.use("mod", GET, TRACING)
    assert (found.state, found.kfunc.flags, found.id) == (RecordState.VALID, 4, GET)
    assert kfuncs.use("mod", PUT, XDP) is None
    assert kfuncs.use("", PUT, TRACING) is None
    assert kfuncs.use("mod", STRUCT, TRACING) is None


def test_a_set_without_the_marker_is_einval_and_the_kernels_own_warns():
    kfuncs, owners = table()

    assert kfuncs.register("mod", kfunc_set(PUT, marked=False)) == -errno.EINVAL
    assert owners.lines == []
    assert kfuncs.register("", kfunc_set(PUT, marked=False)) == -errno.EINVAL
    assert owners.lines == ["WARNING: kfunc set for hook tracing has no kfunc marker"]


def test_a_built_in_set_without_btf():
    """Configured but missing: ENOENT and a line; not configured: nothing recorded, no error."""
    kfuncs, owners = table()
    owners.btfs[""] = None
    assert kfuncs.register("", kfunc_set(PUT)) == -errno.ENOENT
    assert owners.lines == ["missing vmlinux BTF, cannot register kfunc"]

    kfuncs, owners = table(configured=False)
    assert kfuncs.register("", kfunc_set(PUT)) == 0
    assert (owners.lines, list(kfuncs.records())) == ([], [])


def test_a_built_in_set_on_malformed_btf_gets_its_error():
    kfuncs, _ = table(error=errno.E2BIG)

    assert kfuncs.register("", kfunc_set(PUT)) == -errno.E2BIG
    assert kfuncs.register_destructors("", [(STRUCT, PUT)]) == -errno.E2BIG


def test_a_module_without_btf_only_warns():
    kfuncs, owners = table()

    assert kfuncs.register("bare", kfunc_set(PUT)) == 0
    assert kfuncs.register_destructors("bare", [(STRUCT, PUT)]) == 0
    assert kfuncs.missing_btf("bare", "struct_ops") == 0

    assert owners.lines == [
        f"missing module BTF, cannot register {what}"
        for what in ("kfunc", "dtor kfuncs", "struct_ops")
    ]
    assert kfuncs.use("bare", PUT, TRACING) is None


@pytest.mark.parametrize("bad", [STRUCT, 99, "no_such_function", KfuncId(PUT, KF_ITER_NEW)])
def test_one_bad_kfunc_refuses_the_whole_set(bad):
    kfuncs, _ = table()

    assert kfuncs.register("mod", kfunc_set(GET, bad)) == -errno.EINVAL

    assert kfuncs.use("mod", GET, TRACING) is None


def test_a_failed_check_leaves_what_was_registered_before():
    kfuncs, _ = table()
    kfuncs.register("mod", kfunc_set(PUT, hook="xdp"))

    kfuncs.register("mod", kfunc_set(STRUCT))

    assert kfuncs.use("mod", PUT, XDP)


@pytest.mark.parametrize("owner", ["", "mod"])
def test_a_hook_that_is_none_is_einval_and_drops_everything_of_its_owner(owner):
    kfuncs, _ = table()
    kfuncs.register(owner, kfunc_set(PUT, hook="xdp"))

    assert kfuncs.register(owner, kfunc_set(PUT, hook="sk_msg")) == -errno.EINVAL

    assert list(kfuncs.records()) == []
    assert kfuncs.register(owner, kfunc_set(hook="sk_msg")) == -errno.EINVAL


def test_a_module_may_register_a_hook_only_once():
    kfuncs, owners = table()
    kfuncs.register("mod", kfunc_set(PUT, hook="xdp"))
    kfuncs.register("mod", kfunc_set(PUT))

    assert kfuncs.register("mod", kfunc_set(GET)) == -errno.EINVAL

    assert owners.lines == ["WARNING: mod registers hook tracing twice"]
    assert list(kfuncs.records("mod")) == []  # the storing step failed: all hooks are dropped


def test_the_kernel_may_register_a_hook_many_times():
    kfuncs, _ = table()

    assert kfuncs.register("", kfunc_set(PUT)) == 0
    assert kfuncs.register("", kfunc_set(GET)) == 0

    assert kfuncs.use("", PUT, TRACING)
    assert kfuncs.use("", GET, TRACING)


def test_more_than_256_kfuncs_of_a_hook_are_e2big_and_drop_everything():
    kfuncs, _ = table()
    assert kfuncs.register("", kfunc_set(*[PUT] * 256)) == 0

    assert kfuncs.register("", kfunc_set(PUT)) == -errno.E2BIG

    assert list(kfuncs.records()) == []
    assert kfuncs.register("mod", kfunc_set(*[PUT] * 257)) == -errno.E2BIG


def test_more_than_16_filters_of_a_hook_are_e2big():
    kfuncs, _ = table()
    filters = [lambda prog_type, id, n=n: False for n in range(17)]
    for one in filters[:16]:
        assert kfuncs.register("", kfunc_set(PUT, filter=one)) == 0

    assert kfuncs.register("", kfunc_set(PUT, filter=filters[0])) == 0  # known already
    assert kfuncs.register("", kfunc_set(PUT, filter=filters[16])) == -errno.E2BIG


def test_an_empty_set_is_fine_and_nothing():
    kfuncs, _ = table()

    assert kfuncs.register("mod", kfunc_set()) == 0

    assert list(kfuncs.records()) == []


def test_a_filter_can_veto_a_kfunc_for_a_program_type():
    kfuncs, _ = table()
    lsm = 29
    kfuncs.register("mod", kfunc_set(PUT, filter=lambda prog_type, id: prog_type != lsm))

    assert kfuncs.use("mod", PUT, lsm)
    assert kfuncs.use("mod", PUT, TRACING) is None


def test_common_kfuncs_are_there_for_every_program_type():
    kfuncs, _ = table()
    kfuncs.register("mod", kfunc_set(PUT, hook="common"))
    kfuncs.register("mod", kfunc_set(GET))

    for prog_type in (TRACING, XDP, RAW_TRACEPOINT):
        assert kfuncs.use("mod", PUT, prog_type)
    assert kfuncs.use("mod", GET, RAW_TRACEPOINT) is None


def test_what_a_module_registered_goes_with_it():
    kfuncs, _ = table()
    kfuncs.register("mod", kfunc_set(PUT))
    kfuncs.register("", kfunc_set(PUT))
    kfuncs.register_destructors("mod", [(STRUCT, PUT)])

    kfuncs.unregister("mod")

    assert kfuncs.use("mod", PUT, TRACING) is None
    assert kfuncs.destructor("mod", STRUCT) is None
    assert kfuncs.use("", PUT, TRACING)


def test_destructors():
    """Once per module, void f(pointer), fewer than 256 together."""
    kfuncs, _ = table()

    assert kfuncs.register_destructors("mod", [(STRUCT, PUT)]) == 0
    assert kfuncs.destructor("mod", STRUCT) == PUT
    assert kfuncs.register_destructors("mod", [(STRUCT, PUT)]) == -errno.EINVAL
    assert kfuncs.register_destructors("", [(STRUCT, GET)]) == -errno.EINVAL
    assert kfuncs.register_destructors("", [(n, PUT) for n in range(256)]) == -errno.E2BIG
    assert kfuncs.register_destructors("", [(n, PUT) for n in range(255)]) == 0
    assert kfuncs.register_destructors("", [(300, PUT)]) == -errno.E2BIG


# --- lazy ---------------------------------------------------------------------------------------


def test_lazily_a_bad_set_is_accepted_and_its_good_kfuncs_stay_usable():
    kfuncs, owners = table(lazy=True)
    bad = KfuncId(PUT, KF_ITER_NEW)

    assert kfuncs.register("mod", kfunc_set(bad, GET, STRUCT)) == 0
    assert kfuncs.checks == 0
    assert {record.state for record in kfuncs.records()} == {RecordState.RECORDED}

    good = kfuncs.use("mod", GET, TRACING)
    broken = kfuncs.use("mod", PUT, TRACING)

    assert (good.state, good.errno) == (RecordState.VALID, 0)
    assert (broken.state, broken.errno) == (RecordState.BROKEN, errno.EINVAL)
    assert "first argument" in broken.why
    assert owners.lines == [f"BPF: kfunc of mod: {broken.why}"]


def test_lazily_a_kfunc_is_checked_once_and_the_verdict_kept():
    kfuncs, owners = table(lazy=True)
    kfuncs.register("mod", kfunc_set(KfuncId(PUT, KF_ITER_NEW), GET))

    for _ in range(3):
        assert kfuncs.use("mod", PUT, TRACING).errno == errno.EINVAL
        assert kfuncs.use("mod", GET, TRACING).state is RecordState.VALID

    assert kfuncs.checks == 2
    assert len(owners.lines) == 1


def test_lazily_a_broken_kfunc_that_nobody_uses_is_never_reported():
    kfuncs, owners = table(lazy=True)
    kfuncs.register("mod", kfunc_set(KfuncId(PUT, KF_ITER_NEW), "no_such_function", GET))

    assert kfuncs.use("mod", GET, TRACING)
    assert kfuncs.use("mod", 99, TRACING) is None

    assert owners.lines == []
    assert kfuncs.checks == 1


@pytest.mark.parametrize(
    ("kset", "number"),
    [
        (kfunc_set(PUT, marked=False), errno.EINVAL),
        (kfunc_set(*[PUT] * 257), errno.E2BIG),
    ],
)
def test_lazily_what_is_wrong_with_a_set_itself_breaks_its_kfuncs(kset, number):
    kfuncs, _ = table(lazy=True)

    assert kfuncs.register("mod", kset) == 0

    found = kfuncs.use("mod", PUT, TRACING)
    assert (found.state, found.errno) == (RecordState.BROKEN, number)


def test_lazily_a_second_set_for_a_hook_is_broken_and_the_first_is_not():
    kfuncs, _ = table(lazy=True)
    kfuncs.register("mod", kfunc_set(PUT))

    assert kfuncs.register("mod", kfunc_set(GET)) == 0

    assert kfuncs.use("mod", PUT, TRACING).state is RecordState.VALID
    assert kfuncs.use("mod", GET, TRACING).errno == errno.EINVAL


def test_lazily_a_module_without_btf_is_accepted_without_a_word():
    kfuncs, owners = table(lazy=True)

    assert kfuncs.register("bare", kfunc_set(PUT)) == 0

    assert owners.lines == []
    assert kfuncs.use("bare", PUT, TRACING) is None


# --- hooks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prog_type", "hook"),
    [
        (0, "common"),
        (6, "xdp"),
        (3, "tc"),
        (27, "struct_ops"),
        *((t, "tracing") for t in (26, 5, 7, 29)),
        (31, "syscall"),
        *((t, "cgroup") for t in (8, 9, 15, 18, 25, 23, 13)),
        (4, "sched_act"),
        (14, "sk_skb"),
        (1, "socket_filter"),
        *((t, "lwt") for t in (10, 11, 12, 19)),
        (32, "netfilter"),
        (2, "kprobe"),
        *((t, None) for t in (17, 24, 16, 30, 21, 22, 20)),
    ],
)
def test_the_hook_of_each_program_type(prog_type, hook):
    assert hook_of(prog_type) == hook


def test_fmodret_kfuncs_cannot_be_called():
    kfuncs, _ = table()
    kfuncs.register("mod", kfunc_set(PUT, hook="fmodret"))

    assert all(kfuncs.use("mod", PUT, prog_type) is None for prog_type in range(33))


def test_a_word_that_is_no_hook_is_named_with_those_there_are():
    assert [need_hook(hook) for hook in HOOKS] == list(HOOKS)
    with pytest.raises(InputError, match="no kfunc hook 'xpd'; there are common, xdp"):
        need_hook("xpd")
