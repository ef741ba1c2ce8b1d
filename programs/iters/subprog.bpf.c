/* Iterators in functions of the program: of their own, and handed over by pointer. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __noinline int sum_up_to(int limit)
{
	int i, sum = 0;

	bpf_for(i, 0, limit)
		sum += i;
	return sum;
}

SEC("syscall")
__description("a loop in a subprogram, called twice")
__success __retval(55)
int subprog_loop(void *ctx)
{
	return sum_up_to(10) + sum_up_to(5);
}

SEC("syscall")
__description("a loop that calls a subprogram with a loop")
__success __retval(20)
int subprog_in_loop(void *ctx)
{
	int i, sum = 0;

	bpf_for(i, 0, 6)
		sum += sum_up_to(i); /* 0 0 1 3 6 10 */
	return sum;
}

static __noinline int take_two(struct bpf_iter_num *it)
{
	int *elem, sum = 0;

	elem = bpf_iter_num_next(it);
	if (elem)
		sum += *elem;
	elem = bpf_iter_num_next(it);
	if (elem)
		sum += *elem;
	return sum;
}

SEC("syscall")
__description("a subprogram goes on with its caller's iterator")
__success __retval(15)
int subprog_gets_iterator(void *ctx)
{
	struct bpf_iter_num it;
	int sum;

	bpf_iter_num_new(&it, 1, 6);
	sum = take_two(&it) + take_two(&it) + take_two(&it); /* 1 2, 3 4, 5 and the end */
	bpf_iter_num_destroy(&it);
	return sum;
}

static __noinline void begin(struct bpf_iter_num *it, int limit)
{
	bpf_iter_num_new(it, 0, limit);
}

static __noinline void end(struct bpf_iter_num *it)
{
	bpf_iter_num_destroy(it);
}

SEC("syscall")
__description("new, next and destroy each in a subprogram")
__success __retval(1)
int subprog_each_step(void *ctx)
{
	struct bpf_iter_num it;
	int sum;

	begin(&it, 2);
	sum = take_two(&it);
	end(&it);
	return sum;
}

int vmas;

static __noinline int vmas_of(struct task_struct *task)
{
	struct vm_area_struct *vma;

	vmas = 0;
	bpf_for_each(task_vma, vma, task, 0)
		vmas++;
	return vmas;
}

SEC("syscall")
__description("a walk over VMAs in a subprogram")
__success __retval(1)
int subprog_vma(void *ctx)
{
	return vmas_of(bpf_get_current_task_btf()) > 0;
}

__noinline int global_bits(__u64 word)
{
	int *bit, count = 0;

	bpf_for_each(bits, bit, &word, 1)
		count++;
	return count;
}

SEC("syscall")
__description("a global subprogram counts bits")
__success __retval(35)
int subprog_global(void *ctx)
{
	return global_bits(0x7) + global_bits(0xffffffff);
}

static __noinline int procs(void)
{
	struct task_struct *task;
	int count = 0;

	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_PROCS) {
		if (++count == 3)
			break;
	}
	return count;
}

SEC("raw_tp")
__description("a walk over tasks in a subprogram, left early")
__success __retval(1)
int subprog_task(void *ctx)
{
	int count = procs();

	return count >= 1 && count <= 3;
}
