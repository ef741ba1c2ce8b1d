"""What programs attach to: tracepoints, kernel functions, iterator targets, LSM hooks.

BTF is where a loader looks these up (``tp_btf/sched_switch``, ``fentry/do_unlinkat``,
``iter/task``, ``lsm/file_open``).  Each row is a prototype: parameters in order, then what it
returns.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FUNCTIONS", "HOOKS", "ITERATORS", "TRACEPOINTS"]

TRACEPOINTS: Final[dict[str, str]] = {
    "sched_switch": "preempt: bool_, prev: Ptr[task_struct], next: Ptr[task_struct], "
    "prev_state: uint -> void",
    "sched_wakeup": "p: Ptr[task_struct] -> void",
    "sched_wakeup_new": "p: Ptr[task_struct] -> void",
    "sched_waking": "p: Ptr[task_struct] -> void",
    "sched_process_exec": "p: Ptr[task_struct], old_pid: pid_t, bprm: Ptr[linux_binprm] -> void",
    "sched_process_fork": "parent: Ptr[task_struct], child: Ptr[task_struct] -> void",
    "sched_process_exit": "p: Ptr[task_struct], group_dead: bool_ -> void",
    "sched_process_free": "p: Ptr[task_struct] -> void",
    "sys_enter": "regs: Ptr[pt_regs], id: long_ -> void",
    "sys_exit": "regs: Ptr[pt_regs], ret: long_ -> void",
    "task_newtask": "task: Ptr[task_struct], clone_flags: u64 -> void",
    "task_rename": "task: Ptr[task_struct], comm: Ptr[Const[char]] -> void",
    "signal_generate": "sig: int_, info: Ptr[kernel_siginfo], task: Ptr[task_struct], group: int_, "
    "result: int_ -> void",
    "signal_deliver": "sig: int_, info: Ptr[kernel_siginfo], ka: Ptr[k_sigaction] -> void",
    "irq_handler_entry": "irq: int_, action: Ptr[irqaction] -> void",
    "irq_handler_exit": "irq: int_, action: Ptr[irqaction], ret: int_ -> void",
    "softirq_entry": "vec_nr: uint -> void",
    "softirq_exit": "vec_nr: uint -> void",
    "timer_expire_entry": "timer: Ptr[timer_list], baseclk: ulong -> void",
    "workqueue_execute_start": "work: Ptr[work_struct] -> void",
    "cpu_frequency": "frequency: uint, cpu_id: uint -> void",
    "cgroup_mkdir": "cgrp: Ptr[cgroup], path: Ptr[Const[char]] -> void",
    "cgroup_rmdir": "cgrp: Ptr[cgroup], path: Ptr[Const[char]] -> void",
    "cgroup_attach_task": "dst_cgrp: Ptr[cgroup], path: Ptr[Const[char]], task: Ptr[task_struct], "
    "threadgroup: bool_ -> void",
    "netif_receive_skb": "skb: Ptr[sk_buff] -> void",
    "net_dev_queue": "skb: Ptr[sk_buff] -> void",
    "kfree_skb": "skb: Ptr[sk_buff], location: Ptr[void], reason: uint, rx_sk: Ptr[sock] -> void",
    "consume_skb": "skb: Ptr[sk_buff], location: Ptr[void] -> void",
    "tcp_retransmit_skb": "sk: Ptr[Const[sock]], skb: Ptr[Const[sk_buff]], err: int_ -> void",
    "inet_sock_set_state": "sk: Ptr[Const[sock]], oldstate: int_, newstate: int_ -> void",
    "bpf_trace_printk": "bpf_string: Ptr[Const[char]] -> void",
    "bpf_test_finish": "err: Ptr[int_] -> void",
    "page_fault_user": "address: ulong, regs: Ptr[pt_regs], error_code: ulong -> void",
}
"""Tracepoints; the data pointer that comes first is left out."""

FUNCTIONS: Final[dict[str, str]] = {
    "bpf_fentry_test1": "a: int_ -> int_",
    "bpf_fentry_test2": "a: int_, b: u64 -> int_",
    "bpf_fentry_test3": "a: char, b: int_, c: u64 -> int_",
    "bpf_fentry_test4": "a: Ptr[void], b: char, c: int_, d: u64 -> int_",
    "bpf_fentry_test5": "a: u64, b: Ptr[void], c: short, d: int_, e: u64 -> int_",
    "bpf_fentry_test6": "a: u64, b: Ptr[void], c: short, d: int_, e: Ptr[void], f: u64 -> int_",
    "bpf_fentry_test7": "arg: Ptr[bpf_fentry_test_t] -> int_",
    "bpf_fentry_test8": "arg: Ptr[bpf_fentry_test_t] -> int_",
    "bpf_fentry_test9": "a: Ptr[u32] -> u32",
    "bpf_fentry_test10": "a: Ptr[Const[void]] -> int_",
    "bpf_modify_return_test": "a: int_, b: Ptr[int_] -> int_",
    "bpf_modify_return_test2": "a: int_, b: Ptr[int_], c: short, d: int_, e: Ptr[void], f: char, "
    "g: int_ -> int_",
    "do_unlinkat": "dfd: int_, name: Ptr[filename] -> int_",
    "do_sys_openat2": "dfd: int_, filename: Ptr[Const[char]], how: Ptr[open_how] -> int_",
    "vfs_open": "path: Ptr[Const[path]], file: Ptr[file] -> int_",
    "vfs_read": "file: Ptr[file], buf: Ptr[char], count: size_t, pos: Ptr[loff_t] -> ssize_t",
    "vfs_write": "file: Ptr[file], buf: Ptr[Const[char]], count: size_t, "
    "pos: Ptr[loff_t] -> ssize_t",
    "vfs_fsync_range": "file: Ptr[file], start: loff_t, end: loff_t, datasync: int_ -> int_",
    "vfs_unlink": "idmap: Ptr[mnt_idmap], dir: Ptr[inode], dentry: Ptr[dentry], "
    "delegated_inode: Ptr[Ptr[inode]] -> int_",
    "do_exit": "code: long_ -> void",
    "wake_up_new_task": "p: Ptr[task_struct] -> void",
    "begin_new_exec": "bprm: Ptr[linux_binprm] -> int_",
    "hrtimer_nanosleep": "rqtp: ktime_t, mode: uint, clockid: clockid_t -> long_",
    "security_file_open": "file: Ptr[file] -> int_",
    "security_bprm_check": "bprm: Ptr[linux_binprm] -> int_",
    "__x64_sys_nanosleep": "regs: Ptr[Const[pt_regs]] -> long_",
    "__x64_sys_getpgid": "regs: Ptr[Const[pt_regs]] -> long_",
    "__x64_sys_prctl": "regs: Ptr[Const[pt_regs]] -> long_",
    "__x64_sys_setdomainname": "regs: Ptr[Const[pt_regs]] -> long_",
    "__x64_sys_openat": "regs: Ptr[Const[pt_regs]] -> long_",
    "__x64_sys_execve": "regs: Ptr[Const[pt_regs]] -> long_",
    "__x64_sys_kill": "regs: Ptr[Const[pt_regs]] -> long_",
    "__x64_sys_read": "regs: Ptr[Const[pt_regs]] -> long_",
    "__x64_sys_write": "regs: Ptr[Const[pt_regs]] -> long_",
    "tcp_connect": "sk: Ptr[sock] -> int_",
    "tcp_close": "sk: Ptr[sock], timeout: long_ -> void",
    "handle_mm_fault": "vma: Ptr[vm_area_struct], address: ulong, flags: uint, "
    "regs: Ptr[pt_regs] -> vm_fault_t",
    "schedule": "-> void",
}
"""Functions for fentry, fexit, fmod_ret and kprobes."""

ITERATORS: Final[dict[str, str]] = {
    "task": "meta: Ptr[bpf_iter_meta], task: Ptr[task_struct] -> int_",
    "task_file": "meta: Ptr[bpf_iter_meta], task: Ptr[task_struct], fd: u32, "
    "file: Ptr[file] -> int_",
    "task_vma": "meta: Ptr[bpf_iter_meta], task: Ptr[task_struct], "
    "vma: Ptr[vm_area_struct] -> int_",
    "bpf_map": "meta: Ptr[bpf_iter_meta], map: Ptr[bpf_map] -> int_",
    "bpf_map_elem": "meta: Ptr[bpf_iter_meta], map: Ptr[bpf_map], key: Ptr[void], "
    "value: Ptr[void] -> int_",
    "bpf_prog": "meta: Ptr[bpf_iter_meta], prog: Ptr[bpf_prog] -> int_",
    "cgroup": "meta: Ptr[bpf_iter_meta], cgroup: Ptr[cgroup] -> int_",
    "kmem_cache": "meta: Ptr[bpf_iter_meta], s: Ptr[kmem_cache] -> int_",
    "dmabuf": "meta: Ptr[bpf_iter_meta], dmabuf: Ptr[dma_buf] -> int_",
    "bpf_link": "meta: Ptr[bpf_iter_meta], link: Ptr[bpf_link] -> int_",
}
"""What seq iterator programs walk."""

HOOKS: Final[dict[str, str]] = {
    "file_open": "file: Ptr[file] -> int_",
    "bprm_check_security": "bprm: Ptr[linux_binprm] -> int_",
    "bprm_committed_creds": "bprm: Ptr[Const[linux_binprm]] -> void",
    "task_alloc": "task: Ptr[task_struct], clone_flags: u64 -> int_",
    "task_free": "task: Ptr[task_struct] -> void",
    "inode_unlink": "dir: Ptr[inode], dentry: Ptr[dentry] -> int_",
    "inode_create": "dir: Ptr[inode], dentry: Ptr[dentry], mode: umode_t -> int_",
    "inode_rename": "old_dir: Ptr[inode], old_dentry: Ptr[dentry], new_dir: Ptr[inode], "
    "new_dentry: Ptr[dentry] -> int_",
    "inode_setattr": "idmap: Ptr[mnt_idmap], dentry: Ptr[dentry], attr: Ptr[iattr] -> int_",
    "inode_getattr": "path: Ptr[Const[path]] -> int_",
    "socket_connect": "sock: Ptr[socket], address: Ptr[sockaddr], addrlen: int_ -> int_",
    "socket_bind": "sock: Ptr[socket], address: Ptr[sockaddr], addrlen: int_ -> int_",
    "socket_create": "family: int_, type: int_, protocol: int_, kern: int_ -> int_",
    "bpf": "cmd: int_, attr: Ptr[bpf_attr], size: uint, kernel: bool_ -> int_",
    "bpf_map": "map: Ptr[bpf_map], fmode: fmode_t -> int_",
    "bpf_prog": "prog: Ptr[bpf_prog] -> int_",
    "file_mprotect": "vma: Ptr[vm_area_struct], reqprot: ulong, prot: ulong -> int_",
    "mmap_file": "file: Ptr[file], reqprot: ulong, prot: ulong, flags: ulong -> int_",
    "file_permission": "file: Ptr[file], mask: int_ -> int_",
    "file_ioctl": "file: Ptr[file], cmd: uint, arg: ulong -> int_",
    "task_kill": "p: Ptr[task_struct], info: Ptr[kernel_siginfo], sig: int_, "
    "cred: Ptr[Const[cred]] -> int_",
    "task_setnice": "p: Ptr[task_struct], nice: int_ -> int_",
    "ptrace_access_check": "child: Ptr[task_struct], mode: uint -> int_",
    "cred_prepare": "new: Ptr[cred], old: Ptr[Const[cred]], gfp: gfp_t -> int_",
    "capable": "cred: Ptr[Const[cred]], ns: Ptr[user_namespace], cap: int_, opts: uint -> int_",
    "sb_mount": "dev_name: Ptr[Const[char]], path: Ptr[Const[path]], type: Ptr[Const[char]], "
    "flags: ulong, data: Ptr[void] -> int_",
    "path_unlink": "dir: Ptr[Const[path]], dentry: Ptr[dentry] -> int_",
    "kernel_module_request": "kmod_name: Ptr[char] -> int_",
    "userns_create": "cred: Ptr[Const[cred]] -> int_",
}
"""Hooks of the BPF LSM."""
