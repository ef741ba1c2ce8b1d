"""Files: file, path, dentry, inode, super block, mount."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array, Const, char, int_, uchar, uint, ulong, ushort
from bpfemu.proto.types import Ptr, Struct, u8, u32, u64, void
from bpfemu.world.typedefs import blkcnt_t, dev_t, fmode_t, loff_t, time64_t, umode_t


class _qstr_1_1(Struct, anonymous=True):
    """Without a name in C."""

    hash: u32
    len: u32


class _qstr_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    _anon1: _qstr_1_1
    hash_len: u64


class qstr(Struct):
    """A name with its length and hash."""

    _anon1: _qstr_1
    name: Ptr[Const[uchar]]


class path(Struct):
    """Where a file is: mount and dentry."""

    mnt: Ptr[vfsmount]
    dentry: Ptr[dentry]


class shortname_store(Struct, union=True):
    """Room for a short name inside the dentry."""

    string: Array[uchar, 40]
    words: Array[ulong, 5]


class _dentry_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    __d_name: qstr
    d_name: qstr


class dentry(Struct):
    """A name in the directory tree."""

    d_flags: uint
    d_seq: seqcount_spinlock_t
    d_hash: hlist_bl_node
    d_parent: Ptr[dentry]
    _anon1: _dentry_1
    d_inode: Ptr[inode]
    d_shortname: shortname_store
    d_op: Ptr[Const[dentry_operations]]
    d_sb: Ptr[super_block]
    d_time: ulong
    d_fsdata: Ptr[void]
    d_lockref: lockref
    d_sib: hlist_node
    d_children: hlist_head


class _inode_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    i_nlink: uint


class _inode_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    i_fop: Ptr[Const[file_operations]]


class inode(Struct):
    """A file on a file system."""

    i_mode: umode_t
    i_opflags: ushort
    i_uid: kuid_t
    i_gid: kgid_t
    i_flags: uint
    i_op: Ptr[Const[inode_operations]]
    i_sb: Ptr[super_block]
    i_mapping: Ptr[address_space]
    i_security: Ptr[void]
    i_ino: ulong
    _anon1: _inode_1
    i_rdev: dev_t
    i_size: loff_t
    i_atime_sec: time64_t
    i_mtime_sec: time64_t
    i_ctime_sec: time64_t
    i_atime_nsec: u32
    i_mtime_nsec: u32
    i_ctime_nsec: u32
    i_generation: u32
    i_lock: spinlock_t
    i_bytes: ushort
    i_blkbits: u8
    i_blocks: blkcnt_t
    i_rwsem: rw_semaphore
    i_hash: hlist_node
    i_version: atomic64_t
    i_count: atomic_t
    i_writecount: atomic_t
    _anon2: _inode_2
    i_private: Ptr[void]


class super_block(Struct):
    """A mounted file system's instance."""

    s_list: list_head
    s_dev: dev_t
    s_blocksize_bits: uchar
    s_blocksize: ulong
    s_maxbytes: loff_t
    s_type: Ptr[file_system_type]
    s_op: Ptr[Const[super_operations]]
    s_flags: ulong
    s_iflags: ulong
    s_magic: ulong
    s_root: Ptr[dentry]
    s_count: int_
    s_active: atomic_t
    s_fs_info: Ptr[void]
    s_id: Array[char, 32]
    s_uuid: uuid_t


class file_system_type(Struct):
    """A kind of file system."""

    name: Ptr[Const[char]]
    fs_flags: int_
    next: Ptr[file_system_type]


class vfsmount(Struct):
    """A mount as others see it."""

    mnt_root: Ptr[dentry]
    mnt_sb: Ptr[super_block]
    mnt_flags: int_
    mnt_idmap: Ptr[mnt_idmap]


class mount(Struct):
    """A mount."""

    mnt_hash: hlist_node
    mnt_parent: Ptr[mount]
    mnt_mountpoint: Ptr[dentry]
    mnt: vfsmount
    mnt_mounts: list_head
    mnt_child: list_head
    mnt_devname: Ptr[Const[char]]
    mnt_id: int_


class mnt_namespace(Struct):
    """A mount namespace."""

    ns: ns_common
    root: Ptr[mount]
    nr_mounts: uint


class file_ref_t(Struct, tag=""):
    """A reference count of files."""

    refcnt: atomic64_t


class _file_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    f_path: path
    __f_path: path


class _file_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    f_pos_lock: mutex
    f_pipe: u64


class file(Struct):
    """An open file."""

    f_lock: spinlock_t
    f_mode: fmode_t
    f_op: Ptr[Const[file_operations]]
    f_mapping: Ptr[address_space]
    private_data: Ptr[void]
    f_inode: Ptr[inode]
    f_flags: uint
    f_iocb_flags: uint
    f_cred: Ptr[Const[cred]]
    _anon1: _file_1
    _anon2: _file_2
    f_pos: loff_t
    f_security: Ptr[void]
    f_ref: file_ref_t
