/* What the CO-RE checks open: accesses with guards, without, in a subprogram, in dead code. */
#include <linux/types.h>

#define SEC(name) __attribute__((section(name), used))
#define __core __attribute__((preserve_access_index))

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct inner {
	int deep;
} __core;

struct task_struct {
	int pid;
	long young; /* newer kernels only */
	struct inner inside;
} __core;

enum state {
	RUNNING = 0,
	FROZEN = 7,
};

static void *(*bpf_get_current_task_btf)(void) = (void *)158;

static __attribute__((noinline)) int deep(struct task_struct *task)
{
	return task->inside.deep;
}

SEC("raw_tp")
int guarded(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (__builtin_preserve_field_info(task->young, 2))
		return task->young;
	return task->pid + deep(task);
}

SEC("raw_tp")
int bare(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->young;
}

SEC("raw_tp")
int others(void *ctx)
{
	return __builtin_preserve_enum_value(*(enum state *)FROZEN, 1) +
	       __builtin_preserve_type_info(*(struct task_struct *)0, 1);
}
