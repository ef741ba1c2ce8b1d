"""Cgroup listings, /proc/PID/cgroup, /proc/slabinfo; texts as Linux writes them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfemu.errors import InputError
from bpfemu.world.listings import read_cgroup_tree, read_proc_cgroup, read_slabinfo
from bpfemu.world.resources import CgroupSpec, KmemCacheSpec

TREE = """\
/sys/fs/cgroup
/sys/fs/cgroup/system.slice
/sys/fs/cgroup/system.slice/ssh.service
/sys/fs/cgroup/user.slice
"""
SLABINFO = """\
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables
vm_area_struct      4011   4032    192   21    1 : tunables    0    0    0 : slabdata    192
task_struct          300    320   4160    7    8 : tunables    0    0    0 : slabdata     43
kmem_cache_node      256    256    128   32    1 : tunables    0    0    0 : slabdata      8
kmem_cache           256    256    256   16    1 : tunables    0    0    0 : slabdata     16
"""


def test_directories_become_cgroups():
    specs = read_cgroup_tree(TREE, procs={"/user.slice": (7,)})

    assert specs == (
        CgroupSpec("/"),
        CgroupSpec("/system.slice"),
        CgroupSpec("/system.slice/ssh.service"),
        CgroupSpec("/user.slice", (7,)),
    )


@pytest.mark.parametrize(
    ("text", "root", "paths"),
    [
        (".\n./a\n./a/b\n", "", ["/", "/a", "/a/b"]),
        ("/\n/a\n", "", ["/", "/a"]),
        ("/cg/a\n/cg/a/b\n", "/cg/", ["/a", "/a/b"]),
        ("/cg/\n/cg/a/\r\n\n", "", ["/", "/a"]),
        ("", "", []),
    ],
)
def test_the_first_line_or_the_caller_says_where_the_root_is(text, root, paths):
    assert [spec.path for spec in read_cgroup_tree(text, root=root)] == paths


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("/cg\n/other\n", "tree:2: '/other': does not lie below /cg"),
        ("/cg\n/cgroup\n", "tree:2: '/cgroup': does not lie below /cg"),
        ("/cg\n/cg/a/b\n", "tree:2: '/cg/a/b': stands before its parent, /cg/a"),
        ("/cg\n/cg/a\n/cg/a\n", "tree:3: '/cg/a': stands there twice"),
        ("/cg\n/cg/../x\n", r"tree:2: .* must be '/' or like '/a/b'"),
        ("/cg\n/cg/" + 256 * "x", r"tree:2: .*at most 255 bytes"),
    ],
)
def test_bad_listings_name_the_line(text, rule):
    with pytest.raises(InputError, match=rule):
        read_cgroup_tree(text, "tree")


def test_processes_of_a_cgroup_that_is_not_listed():
    with pytest.raises(InputError, match="tree: no directory is the cgroup '/x'"):
        read_cgroup_tree(TREE, "tree", procs={"/x": (1,)})


def test_where_a_task_is():
    text = "12:pids:/old\n1:name=systemd:/init.scope\n0::/user.slice/a b\n"

    assert read_proc_cgroup(text) == "/user.slice/a b"
    assert read_proc_cgroup("0::/gone (deleted)\n") == "/gone"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "no line '0::/path'"),
        ("1:cpu:/x\n", "no line '0::/path'"),
        ("0:/x\n", "c:1: '0:/x': must be"),
        ("x::/y\n", "c:1: 'x::/y': must be"),
        ("0::y\n", "c:1: '0::y': must be"),
    ],
)
def test_bad_proc_cgroup_texts(text, rule):
    with pytest.raises(InputError, match=rule):
        read_proc_cgroup(text, "c")


def test_slabinfo_becomes_caches_in_order():
    assert read_slabinfo(SLABINFO) == (
        KmemCacheSpec("vm_area_struct", 192, objects_per_slab=21, pages_per_slab=1),
        KmemCacheSpec("task_struct", 4160, objects_per_slab=7, pages_per_slab=8),
        KmemCacheSpec("kmem_cache_node", 128, objects_per_slab=32, refcount=-1),
        KmemCacheSpec("kmem_cache", 256, objects_per_slab=16, refcount=-1),
    )


def test_names_with_spaces_are_kept():
    line = "fat inode cache  1 2 64 64 1 : tunables 0 0 0 : slabdata 0 0 0"

    assert read_slabinfo(f"slabinfo - version: 2.1\n{line}\n")[0].name == "fat inode cache"


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ([], "s:1: '': must be the line"),
        (["dentry 1 2 3 4 5 : x"], "s:1: .* must be the line"),
        (["slabinfo - version: 2.1", "dentry 1 2 3 4"], "s:2: .* must be 'name active_objs"),
        (["slabinfo - version: 2.1", "dentry 1 2 x 4 5 :"], "s:2: .* must be 'name active_objs"),
        (["slabinfo - version: 2.1", "d 1 2 0 4 1 : x"], "s:2: .* size is 0"),
        (["slabinfo - version: 2.1", "d 1 2 8 4 3 : x"], "s:2: .*power of two"),
        (["slabinfo - version: 2.1", *2 * ["d 1 2 8 4 1 : x"]], "s:3: .*stands there twice"),
    ],
)
def test_bad_slabinfo_names_the_line(lines, rule):
    with pytest.raises(InputError, match=rule):
        read_slabinfo("\n".join(lines), "s")


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("/.a0: \n()x"), max_size=60))
def test_any_text_is_read_or_refused(text):
    for read in (read_cgroup_tree, read_proc_cgroup, read_slabinfo):
        for given_text in (text, f"slabinfo - version: 2.1\n{text}"):
            try:
                read(given_text)
            except InputError as error:
                assert str(error)
