/*
 * Iterators that live on memory from bpf_mem_alloc, more of them than a CPU has in stock.
 *
 * In task context the stock is refilled in between; with interrupts off it is not, and the fifth
 * one of a class gets nothing.
 */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ENOMEM 12

__u64 words[64];

/* 1 when a new one got its memory. */
static __always_inline int begin(struct bpf_iter_bits *it, int count)
{
	return bpf_iter_bits_new(it, words, count) == 0;
}

SEC("raw_tp")
__description("five iterators at once, 16 bytes each: all get them in task context")
__success __retval(5)
int five_small(void *ctx)
{
	struct bpf_iter_bits a, b, c, d, e;
	int got;

	got = begin(&a, 2) + begin(&b, 2) + begin(&c, 2) + begin(&d, 2) + begin(&e, 2);
	bpf_iter_bits_destroy(&e);
	bpf_iter_bits_destroy(&d);
	bpf_iter_bits_destroy(&c);
	bpf_iter_bits_destroy(&b);
	bpf_iter_bits_destroy(&a);
	return got;
}

SEC("raw_tp")
__description("two iterators at once, 512 bytes each: the class has one in stock")
__success __retval(2)
int two_big(void *ctx)
{
	struct bpf_iter_bits a, b;
	int got;

	got = begin(&a, 64) + begin(&b, 64);
	bpf_iter_bits_destroy(&b);
	bpf_iter_bits_destroy(&a);
	return got;
}

SEC("raw_tp")
__description("the fifth one's -ENOMEM is handled: the loop over it is left out")
__success __retval(0)
int fifth_handled(void *ctx)
{
	struct bpf_iter_bits a, b, c, d, e;
	int err;

	begin(&a, 2);
	begin(&b, 2);
	begin(&c, 2);
	begin(&d, 2);
	err = bpf_iter_bits_new(&e, words, 2);
	bpf_iter_bits_destroy(&e);
	bpf_iter_bits_destroy(&d);
	bpf_iter_bits_destroy(&c);
	bpf_iter_bits_destroy(&b);
	bpf_iter_bits_destroy(&a);
	return err;
}

SEC("raw_tp")
__description("one walk over VMAs inside another, in a program that may not sleep")
__success __retval(1)
int vma_nested_raw_tp(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *outer, *inner;
	int met = 0;

	bpf_for_each(task_vma, outer, task, 0) {
		bpf_for_each(task_vma, inner, task, 0) {
			met = 1;
			break;
		}
		break;
	}
	return met;
}

SEC("raw_tp")
__description("one walk over VMAs after another, in a program that may not sleep")
__success __retval(2)
int vma_two_raw_tp(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma;
	int met = 0;

	bpf_for_each(task_vma, vma, task, 0) {
		met++;
		break;
	}
	bpf_for_each(task_vma, vma, task, 0) {
		met++;
		break;
	}
	return met;
}
