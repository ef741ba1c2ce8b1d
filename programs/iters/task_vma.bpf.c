/* bpf_iter_task_vma: the VMAs of a task, by address. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ENOENT 2

SEC("syscall")
__description("ascending, none empty, none overlapping")
__success __retval(1)
int vma_in_order(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma;
	__u64 end = 0;
	int seen = 0;

	bpf_for_each(task_vma, vma, task, 0) {
		if (vma->vm_start < end || vma->vm_end <= vma->vm_start)
			return -1;
		end = vma->vm_end;
		seen = 1;
	}
	return seen;
}

/* The start of VMA number n, counted from 0; 0 when there are fewer. */
static __u64 start_of(struct task_struct *task, int n)
{
	struct vm_area_struct *vma;
	int at = 0;

	bpf_for_each(task_vma, vma, task, 0) {
		if (at++ == n)
			return vma->vm_start;
	}
	return 0;
}

/* The start of the first VMA that a walk from addr meets. */
static __u64 first_from(struct task_struct *task, __u64 addr)
{
	struct vm_area_struct *vma;

	bpf_for_each(task_vma, vma, task, addr)
		return vma->vm_start;
	return 0;
}

SEC("syscall")
__description("a walk from the start of a VMA begins with it")
__success __retval(1)
int vma_from_start(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 second = start_of(task, 1);

	return second && first_from(task, second) == second;
}

SEC("syscall")
__description("a walk from inside a VMA begins with it, too")
__success __retval(1)
int vma_from_inside(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 second = start_of(task, 1);

	return second && first_from(task, second + 1) == second;
}

SEC("syscall")
__description("a walk from the lowest address begins with the lowest VMA")
__success __retval(1)
int vma_from_zero(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return first_from(task, 0) == start_of(task, 0);
}

SEC("syscall")
__description("behind the last VMA there is none, and new does not mind")
__success __retval(0)
int vma_from_top(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct bpf_iter_task_vma it;
	int err;

	err = bpf_iter_task_vma_new(&it, task, ~0ULL);
	if (!err && bpf_iter_task_vma_next(&it))
		err = 1000;
	bpf_iter_task_vma_destroy(&it);
	return err;
}

SEC("syscall")
__description("left early with break")
__success __retval(1)
int vma_break(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma;
	int seen = 0;

	bpf_for_each(task_vma, vma, task, 0) {
		seen++;
		break;
	}
	return seen;
}

SEC("syscall")
__description("two walks, one after the other, meet the same VMAs")
__success __retval(1)
int vma_twice(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma;
	__u64 once = 0, again = 0;

	bpf_for_each(task_vma, vma, task, 0)
		once = once * 31 + vma->vm_start;
	bpf_for_each(task_vma, vma, task, 0)
		again = again * 31 + vma->vm_start;
	return once == again;
}

SEC("syscall")
__description("one walk inside another: pairs of neighbours")
__success __retval(1)
int vma_nested(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma, *next;
	int wrong = 0, rounds = 0;

	bpf_for_each(task_vma, vma, task, 0) {
		__u64 end = vma->vm_end;

		bpf_for_each(task_vma, next, task, end) {
			if (next->vm_start < end)
				wrong++;
			break;
		}
		if (++rounds == 3)
			break;
	}
	return !wrong && rounds == 3;
}

SEC("raw_tp")
__description("in a program that may not sleep")
__success __retval(1)
int vma_raw_tp(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma;
	__u64 bytes = 0;

	bpf_for_each(task_vma, vma, task, 0)
		bytes += vma->vm_end - vma->vm_start;
	return bytes > 0 && bytes % 4096 == 0;
}

SEC("raw_tp")
__description("the idle task has no address space: -ENOENT, handled")
__success __retval(-2)
int vma_of_idle_handled(void *ctx)
{
	struct bpf_iter_task_vma it;
	struct task_struct *task;
	int err = 1;

	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_PROCS) {
		err = bpf_iter_task_vma_new(&it, task, 0);
		bpf_iter_task_vma_destroy(&it);
		break;
	}
	return err;
}

SEC("raw_tp")
__description("the idle task has no address space: not handled, the loop does nothing")
__success __retval(0)
int vma_of_idle_ignored(void *ctx)
{
	struct task_struct *task;
	struct vm_area_struct *vma;
	int seen = 0;

	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_PROCS) {
		bpf_for_each(task_vma, vma, task, 0)
			seen++;
		break;
	}
	return seen;
}

SEC("syscall")
__description("the VMA knows its mm, which is the task's")
__success __retval(1)
int vma_mm(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma;
	int same = 0;

	bpf_for_each(task_vma, vma, task, 0) {
		same = vma->vm_mm == task->mm;
		break;
	}
	return same;
}
