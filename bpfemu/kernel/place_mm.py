"""One address space in memory: its mm_struct, and VMAs that are placed when somebody looks at them.

A process may have tens of thousands of VMAs.  What is mapped where is known at once; the
``vm_area_struct`` and its file are put into memory when a walk first reaches them, which nobody
can tell from having been there before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Any, Final

from bpfemu.errors import InputError
from bpfemu.kernel.place_file import FileTable
from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.machine.user import UserMemory
from bpfemu.proto.types import NULL, Ptr
from bpfemu.world.flags import (
    PAGE_SIZE,
    TASK_SIZE,
    VM_EXEC,
    VM_GROWSDOWN,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    vm_page_prot,
)
from bpfemu.world.spec import FileSpec, TaskSpec, VmaSpec

__all__ = ["AddressSpace"]

UNLOCKED_SEQ: Final = 0xFFFF_FFFF  # vm_lock_seq of a VMA that was never write-locked
FileKey = tuple[str, tuple[int, int], int, bool]


class _Node:
    """One VMA of an address space and, once placed, its ``vm_area_struct``."""

    __slots__ = ("end", "placed", "spec", "start")

    def __init__(self, spec: VmaSpec) -> None:
        self.spec = spec
        self.start = spec.start
        self.end = spec.end
        self.placed: Ptr[Any] | None = None


def _file_key(file: FileSpec) -> FileKey:
    return file.path, file.dev, file.inode, file.deleted


class AddressSpace:
    """One mm: its VMAs by address, its files, its user memory."""

    def __init__(self, placer: StructPlacer, files: FileTable, spec: TaskSpec, users: int) -> None:
        self._placer = placer
        self._files = files
        self._nodes = [_Node(vma) for vma in spec.vmas]
        self._ends = [node.end for node in self._nodes]
        self._opened: dict[FileKey, Ptr[Any]] = {}
        self._references: Counter[FileKey] | None = None
        self._user: UserMemory | None = None
        self._args = spec.args, spec.env
        self.name = f"pid {spec.pid}"
        self.mm = placer.new("mm_struct", f"mm_struct {self.name}")
        self._fill(spec, users)

    # ---- the tree ---------------------------------------------------------------------------

    def find(self, addr: int) -> Ptr[Any]:
        """The first VMA with vm_end > addr."""
        at = bisect_right(self._ends, addr)
        return self._placed(self._nodes[at]) if at < len(self._nodes) else NULL

    def covering(self, addr: int) -> Ptr[Any]:
        """The VMA that ``addr`` lies in."""
        at = bisect_right(self._ends, addr)
        if at == len(self._nodes) or self._nodes[at].start > addr:
            return NULL
        return self._placed(self._nodes[at])

    def map(self, spec: VmaSpec) -> Ptr[Any]:
        """Add a VMA; InputError when something is mapped there."""
        at = bisect_right(self._ends, spec.start)
        if at < len(self._nodes) and self._nodes[at].start < spec.end:
            other = self._nodes[at]
            raise InputError(
                f"{spec.start:#x}-{spec.end:#x} overlaps the VMA {other.start:#x}-{other.end:#x}",
                errno=17,
            )
        node = _Node(spec)
        self._nodes.insert(at, node)
        self._ends.insert(at, node.end)
        if spec.file is not None and (file := self._opened.get(_file_key(spec.file))):
            self._files.get(file)
        if self._user is not None:
            self._user.map(spec.start, spec.end, _perms(spec), spec.content)
        self._references = None
        self._count_pages()
        return self._placed(node)

    def unmap(self, addr: int) -> Ptr[Any]:
        """Take out the VMA that ``addr`` lies in; its ``vm_area_struct``, or NULL if not placed."""
        at = bisect_right(self._ends, addr)
        if at == len(self._nodes) or self._nodes[at].start > addr:
            raise InputError(f"nothing is mapped at {addr:#x} in the mm of {self.name}")
        node = self._nodes.pop(at)
        del self._ends[at]
        self._drop_file(node)
        if self._user is not None:
            self._user.unmap(node.start, node.end)
        self._references = None
        self._count_pages()
        return node.placed or NULL

    def grow(self, addr: int, end: int) -> None:
        """Move the end of the VMA that ``addr`` lies in."""
        at = bisect_right(self._ends, addr)
        vma = self.covering(addr)
        free = at + 1 == len(self._nodes) or end <= self._nodes[at + 1].start
        if not vma or end % PAGE_SIZE or end <= self._nodes[at].start or not free:
            raise InputError(f"the VMA at {addr:#x} cannot end at {end:#x}")
        node = self._nodes[at]
        if self._user is not None and end > node.end:
            self._user.map(node.end, end, _perms(node.spec))
        elif self._user is not None and end < node.end:
            self._user.unmap(end, node.end)
        node.end = self._ends[at] = end
        self._placer.fill(vma, {"vm_end": end})
        self._count_pages()

    def close(self) -> list[Ptr[Any]]:
        """Give up everything mapped (exit_mmap); the placed ``vm_area_struct``s."""
        placed = [node.placed for node in self._nodes if node.placed is not None]
        for node in self._nodes:
            self._drop_file(node)
        self._nodes, self._ends = [], []
        self._user = UserMemory()
        return placed

    # ---- user memory ------------------------------------------------------------------------

    @property
    def user(self) -> UserMemory:
        """The user memory behind the VMAs, made when it is first needed."""
        if self._user is None:
            self._user = UserMemory()
            for node in self._nodes:
                self._user.map(node.start, node.end, _perms(node.spec), node.spec.content)
            self._poke_args(self._user)
        return self._user

    def _poke_args(self, user: UserMemory) -> None:
        """Argument and environment strings, where arg_start and env_start say."""
        for start, texts in zip(("arg_start", "env_start"), self._args, strict=True):
            if texts and self._placer.find("mm_struct", start) is not None:
                user.poke(self._placer.read(self.mm, start), _strings(texts))

    # ---- placing ----------------------------------------------------------------------------

    def _placed(self, node: _Node) -> Ptr[Any]:
        if node.placed is None:
            spec = node.spec
            node.placed = self._placer.new(
                "vm_area_struct",
                f"vm_area_struct {node.start:#x}-{node.end:#x}",
                {
                    "vm_start": node.start,
                    "vm_end": node.end,
                    "vm_mm": self.mm,
                    "vm_flags": spec.vm_flags,
                    "vm_page_prot.pgprot": vm_page_prot(spec.vm_flags),
                    "vm_pgoff": spec.pgoff,
                    "vm_file": self._file(spec),
                    "vm_lock_seq": UNLOCKED_SEQ,
                    "vm_refcnt.refs.counter": 1,
                },
            )
        return node.placed

    def _file(self, spec: VmaSpec) -> Ptr[Any]:
        """The open file behind a VMA; all VMAs of a file share one, and each holds a reference."""
        if spec.file is None:
            return NULL
        key = _file_key(spec.file)
        if key not in self._opened:
            if self._references is None:
                specs = (node.spec.file for node in self._nodes)
                self._references = Counter(_file_key(file) for file in specs if file is not None)
            writable = bool(spec.vm_flags & VM_SHARED and spec.vm_flags & VM_WRITE)
            count = self._references[key]
            self._opened[key] = self._files.open(spec.file, count, writable=writable)
        return self._opened[key]

    def _drop_file(self, node: _Node) -> None:
        if node.spec.file is not None:
            key = _file_key(node.spec.file)
            if file := self._opened.get(key):
                if self._files.count(file) == 1:
                    del self._opened[key]
                self._files.put(file)

    def _fill(self, spec: TaskSpec, users: int) -> None:
        """The members that fork, execve and mmap leave behind."""
        stack = next((v for v in reversed(spec.vmas) if v.vm_flags & VM_GROWSDOWN), None)
        heap = next((v for v in spec.vmas if v.name == "[heap]"), None)
        values: dict[str, Any] = {
            "mm_users.counter": users,
            "mm_count.counter": 1,
            "task_size": TASK_SIZE,
            "mmap_base": _mmap_base(spec.vmas, stack),
            "start_brk": heap.start if heap else 0,
            "brk": heap.end if heap else 0,
            **self._image(spec),
        }
        if stack is not None:
            values.update(_stack_values(stack, spec.args, spec.env))
        self._placer.fill(self.mm, values)
        self._count_pages()

    def _image(self, spec: TaskSpec) -> dict[str, Any]:
        """Code and data of the executable."""
        code = next((v for v in spec.vmas if v.file and v.vm_flags & VM_EXEC), None)
        exe = spec.exe or (code.file if code else None)
        if exe is None:
            return {}
        key = _file_key(exe)
        own = [v for v in spec.vmas if v.file is not None and _file_key(v.file) == key]
        values: dict[str, Any] = {"exe_file": self._files.open(exe, 1)}
        for name, need in (("code", VM_EXEC), ("data", VM_WRITE)):
            found = next((v for v in own if v.vm_flags & need), None)
            if found is not None:
                values[f"start_{name}"], values[f"end_{name}"] = found.start, found.end
        return values

    def _count_pages(self) -> None:
        """map_count and the *_vm counters of mm/mmap.c, in pages."""
        total = code = data = stack = 0
        for node in self._nodes:
            pages, flags = (node.end - node.start) // PAGE_SIZE, node.spec.vm_flags
            total += pages
            if flags & VM_GROWSDOWN:
                stack += pages
            elif flags & (VM_EXEC | VM_WRITE) == VM_EXEC:
                code += pages
            elif flags & (VM_WRITE | VM_SHARED) == VM_WRITE:
                data += pages
        values = {"total_vm": total, "exec_vm": code, "data_vm": data, "stack_vm": stack}
        self._placer.fill(self.mm, {"map_count": len(self._nodes), **values})


def _perms(spec: VmaSpec) -> int:
    """VM_READ, VM_WRITE and VM_EXEC are user memory's permission bits."""
    return spec.vm_flags & (VM_READ | VM_WRITE | VM_EXEC)


def _mmap_base(vmas: tuple[VmaSpec, ...], stack: VmaSpec | None) -> int:
    """Mappings grow down from here: the end of the highest one below the stack."""
    below = [vma.end for vma in vmas if stack is None or vma.end <= stack.start]
    return below[-1] if below else 0


def _strings(texts: tuple[str, ...]) -> bytes:
    return b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts)


def _stack_values(stack: VmaSpec, args: tuple[str, ...], env: tuple[str, ...]) -> dict[str, int]:
    """Arguments and environment end 8 bytes below the stack's top, as execve lays them out."""
    env_end = stack.end - 8
    env_start = env_end - len(_strings(env))
    arg_start = env_start - len(_strings(args))
    if arg_start < stack.start:
        raise InputError(f"arguments and environment do not fit {stack.name or 'the stack'}")
    return {
        "start_stack": arg_start & ~15,
        "arg_start": arg_start,
        "arg_end": env_start,
        "env_start": env_start,
        "env_end": env_end,
    }
