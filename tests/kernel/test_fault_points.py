"""Which fault points there are, and what may be made to fail how."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.fault_attr import FaultAttr
from bpfemu.kernel.fault_points import Points, default_retval, errno_of, etype_of, split_point
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.flags import KF_RELEASE
from bpfemu.proto.marks import kfunc
from bpfemu.proto.profile import find_profile
from bpfemu.proto.spec import read_kfunc
from bpfemu.proto.types import Ptr, Struct, bool_, s32
from bpfemu.session import make_catalog
from bpfemu.world.task import task_struct
from tests.kernel.doubles import CATALOG


@pytest.fixture
def points():
    return Points(make_catalog(), find_profile("6.18.44"))


def spec(name):
    kernel = find_profile("6.18.44")
    found = make_catalog().find_kfunc(name, kernel)
    if found is None:
        found = next(one for one in make_catalog().helpers.values() if one.name == name)
    return found


def test_a_point_is_a_kind_and_maybe_which():
    assert split_point("failslab") == ("failslab", "")
    assert split_point("fail_kfunc/bpf_iter_num_new") == ("fail_kfunc", "bpf_iter_num_new")


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("fail_page_alloc", "no fault point 'fail_page_alloc'; there are fail_bpf_mem_alloc, "),
        ("failslab/", "nothing follows the /"),
        ("failslab/big", "'big' is no size in bytes"),
        ("fail_bpf_mem_alloc/0", "'0' is no size in bytes"),
        ("fail_lock/rq", "no lock 'rq'; there are mmap_lock, alloc_lock, vma_lock"),
        ("fail_user_access/x", "has no parts"),
        ("fail_kfunc/bpf_no_such", "kernel 6.18.44 has no kfunc 'bpf_no_such'"),
        ("fail_helper/bpf_no_such", "kernel 6.18.44 has no helper 'bpf_no_such'"),
        ("fail_kfunc/bpf_iter_num_destroy", "it returns nothing, so it cannot fail"),
        ("fail_kfunc/bpf_task_release", "it returns nothing, so it cannot fail"),
        ("fail_helper/bpf_get_current_task_btf", "it never returns NULL"),
        ("fail_helper/bpf_get_prandom_u32", "its result is unsigned"),
    ],
)
def test_a_point_that_there_is_not_or_that_cannot_fail_is_refused(points, point, said):
    with pytest.raises(InputError) as caught:
        points.check(point, FaultAttr())

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("point", "retval", "said"),
    [
        ("fail_kfunc/bpf_iter_num_new", 0, "retval is 0, must be a negative errno"),
        ("fail_kfunc/bpf_iter_num_new", 22, "retval is 22, must be a negative errno"),
        ("fail_kfunc/bpf_iter_num_new", -4096, "from -4095 to -1"),
        ("fail_kfunc/bpf_iter_num_next", -12, "returns a pointer: it fails with NULL, not -12"),
        ("fail_helper/bpf_map_lookup_elem", -2, "returns a pointer: it fails with NULL, not -2"),
        ("fail_map_update", 5, "retval is 5"),
        ("failslab", -12, "there is no return value to choose"),
        ("fail_kfunc", -12, "there is no return value to choose"),
    ],
)
def test_a_return_value_that_a_function_cannot_have_is_refused(points, point, retval, said):
    with pytest.raises(InputError) as caught:
        points.check(point, FaultAttr(retval=retval))

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("point", "retval"),
    [
        ("fail_bpf_mem_alloc/512", None),
        ("fail_lock/vma_lock", None),
        ("fail_kfunc", None),
        ("fail_kfunc/bpf_iter_num_new", -4095),
        ("fail_kfunc/bpf_iter_num_next", 0),
        ("fail_helper/bpf_map_lookup_elem", 0),
        ("fail_map_update/counts", -7),
        ("fail_user_access", -14),
        ("fail_btf_load", None),
    ],
)
def test_what_can_fail_is_accepted(points, point, retval):
    points.check(point, FaultAttr(retval=retval))


@pytest.mark.parametrize(
    ("name", "etype"),
    [
        ("bpf_iter_num_new", "ERRNO"),
        ("bpf_iter_num_next", "NULL"),
        ("bpf_iter_num_destroy", ""),
        ("bpf_map_update_elem", "ERRNO"),
        ("bpf_ktime_get_ns", ""),
        ("bpf_task_acquire", "NULL"),
        ("bpf_rcu_read_lock", ""),
    ],
)
def test_how_a_function_fails_is_told_by_what_it_returns(name, etype):
    assert etype_of(spec(name)) == etype


class thing(Struct):
    """Something counted."""

    value: s32


@kfunc(KF_RELEASE)
def bpf_thing_drop(it: Ptr[thing]) -> s32:
    return s32(0)


@kfunc()
def bpf_thing_here(it: Ptr[task_struct]) -> bool_:
    return bool_(1)


def test_a_function_that_releases_its_argument_must_run(points):
    assert etype_of(read_kfunc(bpf_thing_drop)) == ""


def test_a_bool_fails_with_true():
    assert etype_of(read_kfunc(bpf_thing_here)) == "TRUE"


@pytest.fixture
def own():
    """Points of a kernel with the functions of this file and of the doubles."""
    catalog = CATALOG.merged(Catalog.of(bpf_thing_drop, bpf_thing_here))
    return Points(catalog, find_profile("6.18.44"))


@pytest.mark.parametrize("retval", [0, 1, None])
def test_a_bool_fails_with_either_value(own, retval):
    own.check("fail_kfunc/bpf_thing_here", FaultAttr(retval=retval))


def test_a_bool_has_no_errno(own):
    with pytest.raises(InputError, match="fails with 0 or 1, not -12"):
        own.check("fail_kfunc/bpf_thing_here", FaultAttr(retval=-12))


@pytest.mark.parametrize("point", ["fail_kfunc/bpf_thing_drop", "fail_helper/bpf_sk_release"])
def test_what_releases_its_argument_is_refused_as_such(own, point):
    with pytest.raises(InputError, match="it releases its argument"):
        own.check(point, FaultAttr())


def test_the_default_is_null_einval_or_true_as_fail_function_has_it():
    assert [default_retval(etype) for etype in ("NULL", "ERRNO", "TRUE")] == [0, -22, 1]


def test_points_with_an_errno_have_one_of_their_own():
    assert errno_of("fail_map_update", FaultAttr()) == -12
    assert errno_of("fail_user_access", FaultAttr()) == -14
    assert errno_of("fail_map_update", FaultAttr(retval=-7)) == -7


def test_a_name_is_a_kfunc_or_a_helper(points):
    assert points.kind_of("bpf_iter_num_new") == "fail_kfunc"
    assert points.kind_of("bpf_map_update_elem") == "fail_helper"
    with pytest.raises(InputError, match="no kfunc or helper 'nothing'"):
        points.kind_of("nothing")
