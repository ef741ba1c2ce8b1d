"""Flags of VMAs and tasks, numbered as in the kernel, and how /proc spells them.

Sources: include/linux/mm.h, include/linux/sched.h; the two-letter words are those of the VmFlags
line of /proc/PID/smaps (Documentation/filesystems/proc.rst).
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "PAGE_SIZE",
    "PF_EXITING",
    "PF_IDLE",
    "PF_KTHREAD",
    "TASK_SIZE",
    "VM_FLAG_WORDS",
    "VM_GROWSDOWN",
    "vm_flags",
    "vm_page_prot",
]

PAGE_SIZE: Final = 4096  # bytes
TASK_SIZE: Final = (1 << 47) - PAGE_SIZE  # x86-64 with four levels of page tables

PF_IDLE: Final = 0x2
PF_EXITING: Final = 0x4
PF_KTHREAD: Final = 0x0020_0000

VM_READ: Final = 0x1
VM_WRITE: Final = 0x2
VM_EXEC: Final = 0x4
VM_SHARED: Final = 0x8
VM_MAYREAD: Final = 0x10
VM_MAYWRITE: Final = 0x20
VM_MAYEXEC: Final = 0x40
VM_MAYSHARE: Final = 0x80
VM_GROWSDOWN: Final = 0x100

VM_FLAG_WORDS: Final = {
    "rd": VM_READ,
    "wr": VM_WRITE,
    "ex": VM_EXEC,
    "sh": VM_SHARED,
    "mr": VM_MAYREAD,
    "mw": VM_MAYWRITE,
    "me": VM_MAYEXEC,
    "ms": VM_MAYSHARE,
    "gd": VM_GROWSDOWN,
    "um": 0x200,  # VM_UFFD_MISSING
    "pf": 0x400,  # VM_PFNMAP
    "uw": 0x1000,  # VM_UFFD_WP
    "lo": 0x2000,  # VM_LOCKED
    "io": 0x4000,  # VM_IO
    "sr": 0x8000,  # VM_SEQ_READ
    "rr": 0x1_0000,  # VM_RAND_READ
    "dc": 0x2_0000,  # VM_DONTCOPY
    "de": 0x4_0000,  # VM_DONTEXPAND
    "lf": 0x8_0000,  # VM_LOCKONFAULT
    "ac": 0x10_0000,  # VM_ACCOUNT
    "nr": 0x20_0000,  # VM_NORESERVE
    "ht": 0x40_0000,  # VM_HUGETLB
    "sf": 0x80_0000,  # VM_SYNC
    "ar": 0x100_0000,  # VM_ARCH_1
    "wf": 0x200_0000,  # VM_WIPEONFORK
    "dd": 0x400_0000,  # VM_DONTDUMP
    "sd": 0x800_0000,  # VM_SOFTDIRTY
    "mm": 0x1000_0000,  # VM_MIXEDMAP
    "hg": 0x2000_0000,  # VM_HUGEPAGE
    "nh": 0x4000_0000,  # VM_NOHUGEPAGE
    "mg": 0x8000_0000,  # VM_MERGEABLE
    "ss": 1 << 37,  # VM_SHADOW_STACK (x86)
    "ui": 1 << 38,  # VM_UFFD_MINOR
    "dp": 1 << 40,  # VM_DROPPABLE
    "sl": 1 << 63,  # VM_SEALED
}
"""Words of a VmFlags line and the VM_* bits they stand for (64-bit x86)."""


def vm_flags(perms: str, name: str = "") -> int:
    """VM_* bits of a mapping that /proc/PID/maps shows with these permissions and that name.

    What maps does not tell is taken as mmap gives it: all VM_MAY* bits, VM_SHARED and VM_MAYSHARE
    for shared mappings, VM_GROWSDOWN for the stack.
    """
    flags = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
    for letter, bit in (("r", VM_READ), ("w", VM_WRITE), ("x", VM_EXEC)):
        flags |= bit if letter in perms else 0
    if perms.endswith("s"):
        flags |= VM_SHARED | VM_MAYSHARE
    return flags | (VM_GROWSDOWN if name == "[stack]" else 0)


def vm_page_prot(flags: int) -> int:
    """Page table bits that x86 gives a mapping with these VM_* bits (arch/x86/mm/pgprot.c)."""
    present, writable, user, accessed, none = 0x1, 0x2, 0x4, 0x20, 0x100
    no_exec = 0 if flags & VM_EXEC else 1 << 63
    if not flags & (VM_READ | VM_WRITE | VM_EXEC):
        return none | accessed
    shared_write = flags & VM_SHARED and flags & VM_WRITE
    return present | user | accessed | (writable if shared_write else 0) | no_exec
