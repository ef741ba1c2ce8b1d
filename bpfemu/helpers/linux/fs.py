"""Paths of files."""

from __future__ import annotations

from bpfemu.objects import Object, container_of

__all__ = ["d_path", "dentry_path"]


def dentry_path(dentry: Object) -> bytes:
    """The path of a ``struct dentry *`` below the root of its file system, without a slash."""
    names: list[bytes] = []
    while dentry != dentry.d_parent:
        names.append(dentry.d_name.name.string_())
        dentry = dentry.d_parent.read_()
    return b"/".join(reversed(names))


def d_path(path: Object) -> bytes:
    """The whole path of a ``struct path`` (or a pointer to one), across mount points."""
    mount = container_of(path.mnt, "struct mount", "mnt")
    dentry = path.dentry.read_()
    names: list[bytes] = []
    while True:
        if dentry == mount.mnt.mnt_root:
            if mount == mount.mnt_parent:
                return b"/" + b"/".join(reversed(names))
            dentry, mount = mount.mnt_mountpoint.read_(), mount.mnt_parent.read_()
        elif dentry == dentry.d_parent:  # a root that is mounted nowhere
            return b"/" + b"/".join(reversed(names))
        else:
            names.append(dentry.d_name.name.string_())
            dentry = dentry.d_parent.read_()
