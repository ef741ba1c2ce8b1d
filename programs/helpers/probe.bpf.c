/* Reading what may not be there: the probe_read family, CO-RE, bit fields, BTF pointers. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u64 source = 0x1122334455667788ULL;
const char name[] = "walker";

SEC("syscall")
__description("kernel memory, read by a helper")
__success __retval(1)
int kernel(void *ctx)
{
	__u64 copy = 0;

	return !bpf_probe_read_kernel(&copy, sizeof(copy), &source) && copy == source;
}

SEC("syscall")
__description("a kernel address that faults: -EFAULT, and zeros")
__success __retval(-14)
int faulting(void *ctx)
{
	__u64 copy = 5;
	long err = bpf_probe_read_kernel(&copy, sizeof(copy), (void *)-4095);

	return copy ? 1 : err;
}

SEC("syscall")
__description("a user address is no kernel memory: -ERANGE, and zeros")
__success __retval(-34)
int user_as_kernel(void *ctx)
{
	__u64 copy = 5;
	long err = bpf_probe_read_kernel(&copy, sizeof(copy), (void *)0x1000);

	return copy ? 1 : err;
}

SEC("syscall")
__description("user memory that is not mapped: -EFAULT, and zeros")
__success __retval(-14)
int user_unmapped(void *ctx)
{
	__u64 copy = 5;
	long err = bpf_probe_read_user(&copy, sizeof(copy), (void *)0x10);

	return copy ? 1 : err;
}

SEC("syscall")
__description("a string with its NUL")
__success __retval(7)
int string(void *ctx)
{
	char copy[16];

	return bpf_probe_read_kernel_str(copy, sizeof(copy), name);
}

SEC("syscall")
__description("a string cut to the room there is, ended with a NUL")
__success __retval(4)
int string_cut(void *ctx)
{
	char copy[4] = "xxx";
	long size = bpf_probe_read_kernel_str(copy, sizeof(copy), name);

	return copy[2] == 'l' && !copy[3] ? size : -1;
}

SEC("syscall")
__description("a chain of pointers: the parent's thread group leader is a leader")
__success __retval(1)
int chain(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	int pid = BPF_CORE_READ(task, group_leader, pid);
	int tgid = BPF_CORE_READ(task, group_leader, group_leader, tgid);

	return pid == tgid && pid == task->tgid;
}

SEC("syscall")
__description("pointers followed without a helper")
__success __retval(1)
int direct(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->group_leader->pid == task->tgid && task->group_leader->group_leader->pid > 0;
}

SEC("syscall")
__description("a load through a pointer that is NULL reads as zero")
__success __retval(0)
int null_chain(void *ctx)
{
	struct task_struct *nobody = bpf_core_cast(NULL, struct task_struct);

	return nobody->pid;
}

struct task_struct___other {
	int pid;
	int no_such_member;
} __attribute__((preserve_access_index));

struct no_such_struct {
	int x;
} __attribute__((preserve_access_index));

SEC("syscall")
__description("asking what the running kernel has")
__success __retval(11111)
int asks(void *ctx)
{
	struct task_struct___other *task = (void *)bpf_get_current_task_btf();
	int points = 0;

	if (bpf_core_field_exists(task->pid))
		points += 1;
	if (!bpf_core_field_exists(task->no_such_member))
		points += 10;
	if (bpf_core_field_size(struct task_struct, comm) == 16)
		points += 100;
	if (bpf_core_type_exists(struct task_struct) && !bpf_core_type_exists(struct no_such_struct))
		points += 1000;
	if (bpf_core_type_size(struct bpf_iter_num) == 8)
		points += 10000;
	return points;
}

SEC("syscall")
__description("a flavour of a struct reads the real one's member")
__success __retval(1)
int flavour(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_struct___other *other = (void *)task;

	return other->pid == task->pid;
}

enum bpf_map_type___other {
	BPF_MAP_TYPE_HASH___other = 99,
	BPF_MAP_TYPE_NO_SUCH___other = 98,
};

SEC("syscall")
__description("enumerators by name")
__success __retval(101)
int enumerators(void *ctx)
{
	int points = 0;

	if (bpf_core_enum_value_exists(enum bpf_map_type___other, BPF_MAP_TYPE_HASH___other))
		points += bpf_core_enum_value(enum bpf_map_type___other, BPF_MAP_TYPE_HASH___other);
	if (!bpf_core_enum_value_exists(enum bpf_map_type___other, BPF_MAP_TYPE_NO_SUCH___other))
		points += 100;
	return points;
}

SEC("syscall")
__description("bit fields, wherever the running kernel has them: the own program runs, not execs")
__success __retval(0)
int bit_fields(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return BPF_CORE_READ_BITFIELD_PROBED(task, in_execve) * 100 +
	       BPF_CORE_READ_BITFIELD(task, in_execve) * 10 +
	       BPF_CORE_READ_BITFIELD_PROBED(task, frozen);
}

struct packed {
	__u32 low : 5;
	__s32 middle : 7;
	__u64 high : 33;
};

struct packed packed = { 21, -3, 0x123456789ULL };

SEC("syscall")
__description("bit fields of a struct of our own, signed and unsigned")
__success __retval(1)
int own_bit_fields(void *ctx)
{
	return packed.low == 21 && packed.middle == -3 && packed.high == 0x123456789ULL;
}
