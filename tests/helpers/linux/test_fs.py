"""Paths of files."""

from __future__ import annotations

from bpfemu.helpers.linux.fs import d_path, dentry_path
from bpfemu.helpers.linux.mm import vma_find
from bpfemu.helpers.linux.pid import find_task
from bpfemu.objects import Object, Program


def mapped(prog: Program) -> Object:
    return vma_find(find_task(prog, 40).mm, 0x40_0000).vm_file


def test_the_path_of_a_mapped_file(prog: Program) -> None:
    file = mapped(prog)

    assert d_path(file.f_path) == b"/usr/bin/app"
    assert d_path(file.f_path.address_of_()) == b"/usr/bin/app"
    assert dentry_path(file.f_path.dentry) == b"usr/bin/app"
    assert d_path(find_task(prog, 40).fs.root) == b"/"


def test_mount_points_are_crossed(prog: Program) -> None:
    """The file's device mounted at /usr of the root file system."""
    file = mapped(prog)
    mount = Object(prog, "struct mount *", int(file.f_path.mnt) - _mnt(prog))
    root = find_task(prog, 40).fs.root
    above = Object(prog, "struct mount *", int(root.mnt) - _mnt(prog))
    point = prog.new("struct dentry", d_parent=root.dentry)
    name = prog.new("char [4]")
    name.write_(b"sub")
    point.d_name.name.write_(int(name.address_ or 0))
    mount.mnt_parent.write_(above)
    mount.mnt_mountpoint.write_(point.address_of_())

    assert d_path(file.f_path) == b"/sub/usr/bin/app"


def test_a_root_that_is_mounted_nowhere_ends_the_path(prog: Program) -> None:
    file = mapped(prog)
    other = prog.new("struct dentry")
    mount = Object(prog, "struct mount *", int(file.f_path.mnt) - _mnt(prog))
    mount.mnt.mnt_root.write_(other.address_of_())

    assert d_path(file.f_path) == b"/usr/bin/app"


def _mnt(prog: Program) -> int:
    return prog.type("struct mount").member("mnt").offset
