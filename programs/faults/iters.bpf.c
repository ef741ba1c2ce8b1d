/* Iterators used wrongly.  The kernel's verifier refuses each; here they are caught in the act. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

int zero;

SEC("?raw_tp")
__description("next before new")
__failure __msg("expected an initialized iter_num as arg #0")
__fault(ITERATOR_STATE)
int next_before_new(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("?raw_tp")
__description("destroy before new")
__failure __msg("expected an initialized iter_bits as arg #0")
__fault(ITERATOR_STATE)
int destroy_before_new(void *ctx)
{
	struct bpf_iter_bits it;

	bpf_iter_bits_destroy(&it);
	return 0;
}

SEC("?raw_tp")
__description("destroyed twice")
__failure __msg("expected an initialized iter_num as arg #0")
__fault(ITERATOR_STATE)
int double_destroy(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
	bpf_iter_num_destroy(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("?raw_tp")
__description("new twice without destroy")
__failure __msg("expected uninitialized iter_num as arg #0")
__fault(ITERATOR_STATE)
int double_new(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
	bpf_iter_num_new(&it, 0, 3);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("?raw_tp")
__description("next after destroy")
__failure __msg("expected an initialized iter_num as arg #0")
__fault(ITERATOR_STATE)
int next_after_destroy(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
	bpf_iter_num_destroy(&it);
	bpf_iter_num_next(&it);
	return 0;
}

SEC("?raw_tp")
__description("never destroyed")
__failure __msg("Unreleased reference")
__leak("iterator")
int missing_destroy(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
	return 0;
}

SEC("?syscall")
__description("a walk over VMAs never destroyed: the lock and the task are held, too")
__failure __msg("Unreleased reference")
__leak("iterator")
int missing_destroy_vma(void *ctx)
{
	struct bpf_iter_task_vma it;

	bpf_iter_task_vma_new(&it, bpf_get_current_task_btf(), 0);
	return 0;
}

static __noinline void forget(void)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
}

SEC("?raw_tp")
__description("a subprogram returns and leaves its iterator behind")
__failure __msg("Unreleased reference")
__leak("iterator")
int missing_destroy_subprog(void *ctx)
{
	forget();
	return 0;
}

SEC("?raw_tp")
__description("the iterator's stack slot overwritten")
__failure __msg("expected an initialized iter_num as arg #0")
__fault(ITERATOR_STATE)
int overwritten(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
	*(volatile __u64 *)&it = 7;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("?raw_tp")
__description("the iterator's stack slot overwritten by a helper")
__failure __msg("expected an initialized iter_num as arg #0")
__fault(ITERATOR_STATE)
int overwritten_by_helper(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
	bpf_probe_read_kernel((char *)&it + 7, 1, NULL);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("?raw_tp")
__description("the iterator's bytes read from its stack slot")
__failure __msg("invalid read from stack")
__fault(ITERATOR_STATE)
int read_from_slot(void *ctx)
{
	struct bpf_iter_num it;
	__u64 bytes;

	bpf_iter_num_new(&it, 0, 3);
	bytes = *(volatile __u64 *)&it;
	bpf_iter_num_destroy(&it);
	return bytes;
}

SEC("?raw_tp")
__description("written through an element pointer")
__failure __msg("cannot write into rdonly_mem")
__fault(READ_ONLY)
int write_element(void *ctx)
{
	struct bpf_iter_num it;
	int *elem;

	bpf_iter_num_new(&it, 0, 3);
	elem = bpf_iter_num_next(&it);
	if (elem)
		*(volatile int *)elem = 5;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("?raw_tp")
__description("the element used after the end, where next returned NULL")
__failure __msg("invalid mem access 'scalar'")
__fault(NULL_DEREF)
int null_element(void *ctx)
{
	struct bpf_iter_num it;
	int *elem, value;

	bpf_iter_num_new(&it, 3, 3);
	elem = bpf_iter_num_next(&it);
	value = *(volatile int *)elem;
	bpf_iter_num_destroy(&it);
	return value;
}

SEC("?raw_tp")
__description("another type's next on an iterator")
__failure __msg("expected an initialized iter_num as arg #0")
__fault(ITERATOR_STATE)
int wrong_type(void *ctx)
{
	struct bpf_iter_bits it;
	__u64 word = 1;

	bpf_iter_bits_new(&it, &word, 1);
	bpf_iter_num_next((struct bpf_iter_num *)&it);
	bpf_iter_bits_destroy(&it);
	return 0;
}

__u64 elsewhere[3];

SEC("?raw_tp")
__description("an iterator that is not on the stack")
__failure __msg("arg#0 expected pointer to an iterator on stack")
__fault(ITERATOR_STATE)
int not_on_stack(void *ctx)
{
	bpf_iter_num_new((struct bpf_iter_num *)elsewhere, 0, 3);
	return 0;
}

SEC("?syscall")
__description("tasks walked by a sleepable program without an RCU read section")
__failure __msg("kernel func bpf_iter_task_new requires RCU critical section protection")
__fault(CONTEXT)
int task_without_rcu(void *ctx)
{
	struct bpf_iter_task it;

	bpf_iter_task_new(&it, NULL, BPF_TASK_ITER_ALL_PROCS);
	bpf_iter_task_destroy(&it);
	return 0;
}

SEC("?syscall")
__description("the RCU read section left and entered again in mid-walk")
__failure __msg("expected an RCU CS when using bpf_iter_task_next")
__fault(ITERATOR_STATE)
int task_rcu_left(void *ctx)
{
	struct bpf_iter_task it;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, NULL, BPF_TASK_ITER_ALL_PROCS);
	bpf_rcu_read_unlock();
	bpf_rcu_read_lock();
	bpf_iter_task_next(&it);
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}
