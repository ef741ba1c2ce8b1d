/* Who and where: the current task, the CPU, the time, random numbers. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("syscall")
__description("pid and tgid are the current task's")
__success __retval(1)
int pid_tgid(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 both = bpf_get_current_pid_tgid();

	return (__u32)both == task->pid && both >> 32 == task->tgid;
}

SEC("syscall")
__description("the task is the same by either helper")
__success __retval(1)
int same_task(void *ctx)
{
	return (__u64)bpf_get_current_task_btf() == bpf_get_current_task();
}

SEC("syscall")
__description("the name is the task's, padded with zeros")
__success __retval(1)
int comm(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	char own[16], name[16];
	int i;

	__builtin_memset(own, 0xff, sizeof(own));
	if (bpf_get_current_comm(own, sizeof(own)))
		return -1;
	BPF_CORE_READ_INTO(&name, task, comm);
	bpf_for(i, 0, 16) {
		if (i < 0 || i > 15 || own[i] != name[i])
			return -2;
	}
	return own[0] && !own[15];
}

SEC("syscall")
__description("time goes on, and boot time is not behind it")
__success __retval(1)
int time(void *ctx)
{
	__u64 first = bpf_ktime_get_ns(), second = bpf_ktime_get_ns();

	return second >= first && bpf_ktime_get_boot_ns() >= second;
}

SEC("syscall")
__description("the CPU's number is below the number of CPUs")
__success __retval(1)
int cpu(void *ctx)
{
	return bpf_get_smp_processor_id() < 1024 && bpf_get_numa_node_id() == 0;
}

SEC("syscall")
__description("four random numbers are not all alike")
__success __retval(1)
int random(void *ctx)
{
	__u32 first = bpf_get_prandom_u32(), others = 0;
	int i;

	bpf_for(i, 0, 3)
		others |= first ^ bpf_get_prandom_u32();
	return others != 0;
}

SEC("syscall")
__description("user and group are 32 bits each of one result")
__success __retval(0)
int uid_gid(void *ctx)
{
	return bpf_get_current_uid_gid() >> 32 == (__u32)bpf_get_current_uid_gid() ? 0 : 1;
}
