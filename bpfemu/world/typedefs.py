"""Typedefs of integers, as the kernel has them: each class is a typedef of its base."""

from __future__ import annotations

from bpfemu.proto.decl import int_, llong, long_, schar, short, uchar, uint, ullong, ulong, ushort
from bpfemu.proto.types import s8, s16, s32, s64, u8, u16, u32, u64


class __u16(ushort):
    """``typedef short unsigned int __u16``."""


class __be16(__u16):
    """``typedef __u16 __be16``."""


class __u32(uint):
    """``typedef unsigned int __u32``."""


class __be32(__u32):
    """``typedef __u32 __be32``."""


class __u64(ullong):
    """``typedef long long unsigned int __u64``."""


class __be64(__u64):
    """``typedef __u64 __be64``."""


class __kernel_sa_family_t(ushort):
    """``typedef short unsigned int __kernel_sa_family_t``."""


class __kernel_ulong_t(ulong):
    """``typedef long unsigned int __kernel_ulong_t``."""


class __le16(__u16):
    """``typedef __u16 __le16``."""


class __le32(__u32):
    """``typedef __u32 __le32``."""


class __le64(__u64):
    """``typedef __u64 __le64``."""


class __poll_t(uint):
    """``typedef unsigned int __poll_t``."""


class __s16(short):
    """``typedef short int __s16``."""


class __s32(int_):
    """``typedef int __s32``."""


class __s64(llong):
    """``typedef long long int __s64``."""


class __s8(schar):
    """``typedef signed char __s8``."""


class __sum16(__u16):
    """``typedef __u16 __sum16``."""


class __u8(uchar):
    """``typedef unsigned char __u8``."""


class __wsum(__u32):
    """``typedef __u32 __wsum``."""


class blkcnt_t(u64):
    """``typedef u64 blkcnt_t``."""


class __kernel_clockid_t(int_):
    """``typedef int __kernel_clockid_t``."""


class clockid_t(__kernel_clockid_t):
    """``typedef __kernel_clockid_t clockid_t``."""


class cycles_t(ullong):
    """``typedef long long unsigned int cycles_t``."""


class __kernel_dev_t(u32):
    """``typedef u32 __kernel_dev_t``."""


class dev_t(__kernel_dev_t):
    """``typedef __kernel_dev_t dev_t``."""


class dma_addr_t(u64):
    """``typedef u64 dma_addr_t``."""


class fmode_t(uint):
    """``typedef unsigned int fmode_t``."""


class gfp_t(uint):
    """``typedef unsigned int gfp_t``."""


class __kernel_gid32_t(uint):
    """``typedef unsigned int __kernel_gid32_t``."""


class gid_t(__kernel_gid32_t):
    """``typedef __kernel_gid32_t gid_t``."""


class ino_t(__kernel_ulong_t):
    """``typedef __kernel_ulong_t ino_t``."""


class int16_t(s16):
    """``typedef s16 int16_t``."""


class int32_t(s32):
    """``typedef s32 int32_t``."""


class int64_t(s64):
    """``typedef s64 int64_t``."""


class int8_t(s8):
    """``typedef s8 int8_t``."""


class key_serial_t(int32_t):
    """``typedef int32_t key_serial_t``."""


class ktime_t(s64):
    """``typedef s64 ktime_t``."""


class __kernel_loff_t(llong):
    """``typedef long long int __kernel_loff_t``."""


class loff_t(__kernel_loff_t):
    """``typedef __kernel_loff_t loff_t``."""


class __kernel_mode_t(uint):
    """``typedef unsigned int __kernel_mode_t``."""


class mode_t(__kernel_mode_t):
    """``typedef __kernel_mode_t mode_t``."""


class nlink_t(u32):
    """``typedef u32 nlink_t``."""


class __kernel_long_t(long_):
    """``typedef long int __kernel_long_t``."""


class __kernel_off_t(__kernel_long_t):
    """``typedef __kernel_long_t __kernel_off_t``."""


class off_t(__kernel_off_t):
    """``typedef __kernel_off_t off_t``."""


class pgdval_t(ulong):
    """``typedef long unsigned int pgdval_t``."""


class pgprotval_t(ulong):
    """``typedef long unsigned int pgprotval_t``."""


class phys_addr_t(u64):
    """``typedef u64 phys_addr_t``."""


class __kernel_pid_t(int_):
    """``typedef int __kernel_pid_t``."""


class pid_t(__kernel_pid_t):
    """``typedef __kernel_pid_t pid_t``."""


class __kernel_uid32_t(uint):
    """``typedef unsigned int __kernel_uid32_t``."""


class projid_t(__kernel_uid32_t):
    """``typedef __kernel_uid32_t projid_t``."""


class __kernel_ptrdiff_t(__kernel_long_t):
    """``typedef __kernel_long_t __kernel_ptrdiff_t``."""


class ptrdiff_t(__kernel_ptrdiff_t):
    """``typedef __kernel_ptrdiff_t ptrdiff_t``."""


class resource_size_t(phys_addr_t):
    """``typedef phys_addr_t resource_size_t``."""


class sa_family_t(__kernel_sa_family_t):
    """``typedef __kernel_sa_family_t sa_family_t``."""


class sector_t(u64):
    """``typedef u64 sector_t``."""


class __kernel_size_t(__kernel_ulong_t):
    """``typedef __kernel_ulong_t __kernel_size_t``."""


class size_t(__kernel_size_t):
    """``typedef __kernel_size_t size_t``."""


class sk_buff_data_t(uint):
    """``typedef unsigned int sk_buff_data_t``."""


class slab_flags_t(uint):
    """``typedef unsigned int slab_flags_t``."""


class __kernel_ssize_t(__kernel_long_t):
    """``typedef __kernel_long_t __kernel_ssize_t``."""


class ssize_t(__kernel_ssize_t):
    """``typedef __kernel_ssize_t ssize_t``."""


class time64_t(__s64):
    """``typedef __s64 time64_t``."""


class u_int(uint):
    """``typedef unsigned int u_int``."""


class u_short(ushort):
    """``typedef short unsigned int u_short``."""


class uid_t(__kernel_uid32_t):
    """``typedef __kernel_uid32_t uid_t``."""


class uint16_t(u16):
    """``typedef u16 uint16_t``."""


class uint32_t(u32):
    """``typedef u32 uint32_t``."""


class uint64_t(u64):
    """``typedef u64 uint64_t``."""


class uint8_t(u8):
    """``typedef u8 uint8_t``."""


class uintptr_t(ulong):
    """``typedef long unsigned int uintptr_t``."""


class umode_t(ushort):
    """``typedef short unsigned int umode_t``."""


class vm_flags_t(ulong):
    """``typedef long unsigned int vm_flags_t``."""


class vm_fault_t(uint):
    """``typedef unsigned int vm_fault_t``."""
