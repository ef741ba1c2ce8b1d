"""Files in memory: file, path, dentries up to the root, inode, super block, mount.

::

    file ─ f_path ┬─ mnt ──▶ mount.mnt ─ mnt_root ─▶ "/" ◀─ d_parent ─ "usr" ◀─ … ◀─ "libc.so.6"
                  └─ dentry ─────────────────────────────────────────────────────────┘
    file ─ f_inode ─▶ inode ─ i_sb ─▶ super_block (one for each device)
"""

from __future__ import annotations

from typing import Any, Final

from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.proto.types import NULL, Ptr
from bpfemu.world.spec import FileSpec

__all__ = ["FileTable"]

MINOR_BITS: Final = 20
S_IFDIR: Final = 0o040755


class FileTable:
    """Service ``files``: opened files with their reference counts, and the tree they stand in."""

    def __init__(self, placer: StructPlacer) -> None:
        self._placer = placer
        self._dentries: dict[tuple[tuple[int, int], str], Ptr[Any]] = {}
        self._inodes: dict[tuple[tuple[int, int], int | str], Ptr[Any]] = {}
        self._supers: dict[tuple[int, int], Ptr[Any]] = {}
        self._mounts: dict[tuple[int, int], Ptr[Any]] = {}
        self._paths: dict[int, str] = {}
        self._count = placer.first("file", "f_ref.refcnt.counter", "f_count.counter")
        # file_ref_t counts from 0 for one reference (include/linux/file_ref.h)
        self._one = 0 if self._count.startswith("f_ref") else 1

    # ---- the service ------------------------------------------------------------------------

    def get(self, file: Ptr[Any]) -> None:
        """get_file()."""
        self._add(file, 1)

    def put(self, file: Ptr[Any]) -> None:
        """fput(): the file is freed with its last reference."""
        if self._add(file, -1) == 0:
            self._placer.free(file)

    def path(self, file: Ptr[Any]) -> str:
        """What d_path prints: "(deleted)" is appended to a file that has no name any more."""
        return self._paths.get(int(file), "")

    def count(self, file: Ptr[Any]) -> int:
        """References on a file."""
        return int(self._placer.read(file, self._count)) + 1 - self._one

    def _add(self, file: Ptr[Any], change: int) -> int:
        count = self.count(file) + change
        self._placer.fill(file, {self._count: count - 1 + self._one})
        return count

    # ---- placing ----------------------------------------------------------------------------

    def open(self, spec: FileSpec, references: int, *, writable: bool = False) -> Ptr[Any]:
        """A new struct file with so many references."""
        dentry = self._dentry(spec)
        inode = dentry.d_inode
        mount = self._mount(spec.dev)
        file = self._placer.new(
            "file",
            f"file {spec.path}",
            {
                "f_path.mnt": mount,
                "f_path.dentry": dentry,
                "f_inode": inode,
                "f_mode": 0x1F if writable else 0x1D,  # FMODE_READ WRITE LSEEK PREAD PWRITE
                "f_flags": 0o100002 if writable else 0o100000,  # O_RDWR, O_RDONLY, O_LARGEFILE
                self._count: references - 1 + self._one,
            },
        )
        self._paths[int(file)] = spec.path + (" (deleted)" if spec.deleted else "")
        return file

    def root(self) -> tuple[Ptr[Any], Ptr[Any]]:
        """vfsmount and dentry of "/"."""
        return self._mount((0, 0)), self._root((0, 0))

    def _super(self, dev: tuple[int, int]) -> Ptr[Any]:
        found = self._supers.get(dev)
        if found is None:
            kind = "ext4" if dev[0] else "tmpfs"
            name = self._placer.bytes(kind.encode() + b"\0", "file system name")
            fs = self._placer.new("file_system_type", f"file_system_type {kind}", {"name": name})
            found = self._supers[dev] = self._placer.new(
                "super_block",
                f"super_block {dev[0]}:{dev[1]}",
                {
                    "s_dev": dev[0] << MINOR_BITS | dev[1],
                    "s_type": fs,
                    "s_blocksize": 4096,
                    "s_blocksize_bits": 12,
                    "s_magic": 0xEF53 if dev[0] else 0x0102_1994,
                    "s_active.counter": 1,
                },
            )
        return found

    def _mount(self, dev: tuple[int, int]) -> Ptr[Any]:
        """The ``struct vfsmount`` of a device, inside its ``struct mount``."""
        found = self._mounts.get(dev)
        if found is None:
            root, block = self._root(dev), self._super(dev)
            mount = self._placer.new("mount", f"mount {dev[0]}:{dev[1]}")
            values = {"mnt.mnt_root": root, "mnt.mnt_sb": block, "mnt_mountpoint": root}
            self._placer.fill(mount, {**values, "mnt_parent": mount})
            found = self._mounts[dev] = mount.address_of_("mnt")
        return found

    def _inode(self, spec: FileSpec | None, dev: tuple[int, int], key: int | str) -> Ptr[Any]:
        found = self._inodes.get((dev, key))
        if found is None:
            number = key if isinstance(key, int) else 2  # EXT4_ROOT_INO; directories have no spec
            values: dict[str, Any] = {
                "i_mode": spec.mode if spec else S_IFDIR,
                "i_ino": number,
                "i_sb": self._super(dev),
                "i_nlink": 0 if spec and spec.deleted else 1,
                "i_count.counter": 1,
                "i_blkbits": 12,
                "i_size": spec.size if spec else 4096,
            }
            found = self._placer.new("inode", f"inode {number}", values)
            self._inodes[dev, key] = found
        return found

    def _root(self, dev: tuple[int, int]) -> Ptr[Any]:
        found = self._dentries.get((dev, "/"))
        if found is None:
            found = self._new_dentry("/", NULL, self._inode(None, dev, "/"), dev)
            self._placer.fill(found, {"d_parent": found})
            self._dentries[dev, "/"] = found
        return found

    def _directory(self, path: str, dev: tuple[int, int]) -> Ptr[Any]:
        """The dentry of a directory; "" is the root."""
        if not path:
            return self._root(dev)
        found = self._dentries.get((dev, path))
        if found is None:
            above, _, name = path.rpartition("/")
            parent = self._directory(above, dev)
            found = self._new_dentry(name, parent, self._inode(None, dev, path), dev)
            self._dentries[dev, path] = found
        return found

    def _dentry(self, spec: FileSpec) -> Ptr[Any]:
        key = (spec.dev, f"{spec.path}{' (deleted)' if spec.deleted else ''}\0{spec.inode}")
        found = self._dentries.get(key)
        if found is None:
            above, slash, name = spec.path.rpartition("/")
            parent = self._directory(above, spec.dev) if slash else self._root(spec.dev)
            inode = self._inode(spec, spec.dev, spec.inode or spec.path)
            found = self._new_dentry(name, parent, inode, spec.dev, hashed=not spec.deleted)
            self._dentries[key] = found
        return found

    def _new_dentry(
        self,
        name: str,
        parent: Ptr[Any],
        inode: Ptr[Any],
        dev: tuple[int, int],
        *,
        hashed: bool = True,
    ) -> Ptr[Any]:
        text = name.encode("utf-8", "surrogateescape") + b"\0"
        dentry = self._placer.new("dentry", f"dentry {name}")
        place, room = self._short_name(dentry)
        if len(text) <= room:
            self._placer.space.memory.write(place, text)
        else:
            place = self._placer.bytes(text, f"name {name}")
        values: dict[str, Any] = {
            "d_parent": parent,
            "d_name.name": place,
            "d_name.len": len(text) - 1,
            "d_inode": inode,
            "d_sb": self._super(dev),
            "d_lockref.count": 1,
            # d_unlinked() asks whether the hash link leads back to anything
            "d_hash.pprev": dentry.address_of_("d_hash") if hashed else 0,
        }
        self._placer.fill(dentry, values)
        return dentry

    def _short_name(self, dentry: Ptr[Any]) -> tuple[int, int]:
        """Address and size of the room for short names: d_shortname, before 6.15 d_iname."""
        path = self._placer.first("dentry", "d_shortname.string", "d_iname")
        if not path:
            return 0, 0
        offset, ctype = self._placer.need("dentry", path)
        return int(dentry) + offset, self._placer.space.layouts.size_of(ctype)
