/* bpf_iter_testmod_seq, an iterator that a module brings: bpf_testmod of the kernel's selftests. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "GPL";

struct bpf_iter_testmod_seq {
	__s64 value;
	int cnt;
} __attribute__((preserve_access_index));

extern int bpf_iter_testmod_seq_new(struct bpf_iter_testmod_seq *it, __s64 value, int cnt) __ksym;
extern __s64 *bpf_iter_testmod_seq_next(struct bpf_iter_testmod_seq *it) __ksym;
extern void bpf_iter_testmod_seq_destroy(struct bpf_iter_testmod_seq *it) __ksym;
extern __s64 bpf_iter_testmod_seq_value(int val, struct bpf_iter_testmod_seq *it__iter) __ksym;

SEC("raw_tp")
__description("a thousand, five times")
__success __retval(5000)
int testmod_seq_sum(void *ctx)
{
	__s64 *i, sum = 0;

	bpf_for_each(testmod_seq, i, 1000, 5)
		sum += *i;
	return sum;
}

SEC("raw_tp")
__description("not even once")
__success __retval(1000000)
int testmod_seq_empty(void *ctx)
{
	__s64 sum = 1000000, *i;

	bpf_for_each(testmod_seq, i, 1000, 0)
		sum += *i;
	return sum;
}

SEC("raw_tp")
__description("a count below zero: -EINVAL, and nothing comes")
__success __retval(-22)
int testmod_seq_bad(void *ctx)
{
	struct bpf_iter_testmod_seq it;
	int err = bpf_iter_testmod_seq_new(&it, 1, -1);

	if (bpf_iter_testmod_seq_next(&it))
		err = 1000;
	bpf_iter_testmod_seq_destroy(&it);
	return err;
}

SEC("raw_tp")
__description("the iterator itself as an argument")
__success __retval(1003)
int testmod_seq_getter(void *ctx)
{
	struct bpf_iter_testmod_seq it;
	__s64 got;

	bpf_iter_testmod_seq_new(&it, 1000, 5);
	got = bpf_iter_testmod_seq_value(3, &it);
	bpf_iter_testmod_seq_destroy(&it);
	return got;
}
