/* Variables of a kernel that its BTF describes; tests/programs/test_ksyms.py makes such a kernel. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

extern const struct task_struct first_task __ksym;
extern const unsigned long boot_count __ksym;
extern const int table[4] __ksym;
extern const struct task_struct *const holder __ksym;
extern const u64 module_count __ksym __weak;
extern const struct rq module_queue __ksym __weak;

SEC("raw_tp")
__description("a struct is a BTF pointer")
int of_struct(void *ctx)
{
	return first_task.pid;
}

SEC("raw_tp")
__description("what a struct points at, too")
int through_pointer(void *ctx)
{
	return holder == &first_task && first_task.group_leader->pid == first_task.pid;
}

SEC("raw_tp")
__description("a number is memory of its size")
int of_scalar(void *ctx)
{
	return boot_count;
}

SEC("raw_tp")
__description("an array, too")
int of_array(void *ctx)
{
	return table[0] + table[1] + table[2] + table[3];
}

SEC("raw_tp")
__description("bytes behind a number")
int past_scalar(void *ctx)
{
	return *((volatile int *)&boot_count + 2);
}

SEC("raw_tp")
__description("a store into a number")
int write_scalar(void *ctx)
{
	*(volatile int *)&boot_count = 1;
	return 0;
}

SEC("raw_tp")
__description("a store into a struct")
int write_struct(void *ctx)
{
	*(volatile int *)&first_task.pid = 1;
	return 0;
}

SEC("raw_tp")
__description("a module's variables, when it is there")
int of_module(void *ctx)
{
	struct rq *rq;

	if (!&module_count || !&module_queue)
		return -1;
	rq = bpf_per_cpu_ptr(&module_queue, 1);
	return rq ? module_count + rq->cpu : -2;
}
