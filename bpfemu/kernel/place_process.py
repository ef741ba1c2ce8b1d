"""What the threads of a process share: signal_struct, credentials, namespaces, pids, files."""

from __future__ import annotations

from typing import Any, Final

from bpfemu.kernel.place_file import FileTable
from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.proto.types import NULL, Ptr
from bpfemu.record import dataclass
from bpfemu.world.spec import TaskSpec

__all__ = ["ProcessParts", "ProcessPlacer"]

PROC_PID_INIT_INO: Final = 0xEFFF_FFFC  # inode of the initial pid namespace
ROOT_CGROUP_ID: Final = 1
NR_OPEN_DEFAULT: Final = 64  # files that fit a files_struct itself


@dataclass(frozen=True, slots=True)
class ProcessParts:
    """Pointers that every thread of a process holds."""

    mm: Ptr[Any]
    signal: Ptr[Any]
    sighand: Ptr[Any]
    cred: Ptr[Any]
    fs: Ptr[Any]
    files: Ptr[Any]
    nsproxy: Ptr[Any]


class ProcessPlacer:
    """Places those, and what all processes share in turn."""

    def __init__(self, placer: StructPlacer, files: FileTable) -> None:
        self._placer = placer
        self._files = files
        self.pid_ns = self._pid_ns(0, PROC_PID_INIT_INO, NULL)
        self._child_ns: Ptr[Any] = NULL
        self.css_set = self._root_css_set()

    def place(self, spec: TaskSpec, pid: int, mm: Ptr[Any]) -> ProcessParts:
        """The parts of one process."""
        new, name = self._placer.new, f"pid {pid}"
        return ProcessParts(
            mm=mm,
            signal=new(
                "signal_struct",
                f"signal_struct {name}",
                {"sigcnt.refs.counter": 1, "live.counter": 1 + len(spec.threads)},
            ),
            sighand=new("sighand_struct", f"sighand_struct {name}", {"count.refs.counter": 1}),
            cred=self._cred(spec, name),
            fs=self._fs(name),
            files=self._file_table(name),
            nsproxy=new(
                "nsproxy",
                f"nsproxy {name}",
                {
                    "count.refs.counter": 1,
                    "pid_ns_for_children": self.child_ns if spec.vpid else self.pid_ns,
                },
            ),
        )

    @property
    def child_ns(self) -> Ptr[Any]:
        """The pid namespace of every task that has a ``vpid``."""
        if not self._child_ns:
            self._child_ns = self._pid_ns(1, PROC_PID_INIT_INO - 1, self.pid_ns)
        return self._child_ns

    def pid(self, pid: int, vpid: int) -> Ptr[Any]:
        """A ``struct pid``: a number in each namespace from the initial one down."""
        numbers = [(pid, self.pid_ns)]
        if vpid:
            numbers.append((vpid, self.child_ns))
        size = self._placer.space.layouts.named("upid").size
        made = self._placer.new(
            "pid",
            f"struct pid {pid}",
            {"count.refs.counter": 1, "level": len(numbers) - 1},
            tail=len(numbers) * size,
        )
        at = int(made) + self._placer.need("pid", "numbers")[0]
        for index, (number, namespace) in enumerate(numbers):
            upid = self._placer.space.pointer(at + index * size, "upid")
            self._placer.fill(upid, {"nr": number, "ns": namespace})
        return made

    def _pid_ns(self, level: int, inum: int, parent: Ptr[Any]) -> Ptr[Any]:
        values = {"level": level, "ns.inum": inum, "parent": parent, "pid_max": 1 << 22}
        return self._placer.new("pid_namespace", f"pid_namespace level {level}", values)

    def _cred(self, spec: TaskSpec, name: str) -> Ptr[Any]:
        values: dict[str, int] = {"usage.counter": 1}
        for kind in ("", "s", "e", "fs"):
            values[f"{kind}uid.val"] = spec.uid
            values[f"{kind}gid.val"] = spec.gid
        if spec.uid == 0:
            for which in ("permitted", "effective", "bset"):
                values[f"cap_{which}.val"] = (1 << 41) - 1  # CAP_LAST_CAP is 40
        return self._placer.new("cred", f"cred {name}", values)

    def _fs(self, name: str) -> Ptr[Any]:
        mount, root = self._files.root()
        values: dict[str, Any] = {"users": 1, "umask": 0o022}
        for member in ("root", "pwd"):
            values[f"{member}.mnt"], values[f"{member}.dentry"] = mount, root
        return self._placer.new("fs_struct", f"fs_struct {name}", values)

    def _file_table(self, name: str) -> Ptr[Any]:
        """A files_struct without open files."""
        made = self._placer.new("files_struct", f"files_struct {name}", {"count.counter": 1})
        table, array = made.address_of_("fdtab"), made.address_of_("fd_array")
        values = {"fdt": table, "fdtab.max_fds": NR_OPEN_DEFAULT, "fdtab.fd": array}
        self._placer.fill(made, values)
        return made

    def _root_css_set(self) -> Ptr[Any]:
        """Every task is in the root cgroup."""
        new = self._placer.new
        name = self._placer.bytes(b"\0", "name of the root cgroup")
        values: dict[str, Any] = {"id": ROOT_CGROUP_ID, "name": name, "flags": 1, "mode": 0o040755}
        node = new("kernfs_node", "kernfs_node /", values)
        cgroup = new("cgroup", "cgroup /", {"kn": node}, tail=8)
        self._placer.fill(node, {"priv": cgroup})
        self._placer.fill(cgroup, {"self.cgroup": cgroup, "dom_cgrp": cgroup})
        if self._placer.find("cgroup", "ancestors") is not None:
            cgroup.ancestors[0] = cgroup
        values = {"dfl_cgrp": cgroup, "refcount.refs.counter": 1}
        return new("css_set", "css_set of the root cgroup", values)
