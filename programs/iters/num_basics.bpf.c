/* bpf_iter_num: ranges, early ends, nesting, what a failed new does. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define MAX_LOOPS (8 * 1024 * 1024)
#define INT_MIN (-2147483647 - 1)
#define INT_MAX 2147483647

SEC("syscall")
__description("ten numbers, summed")
__success __retval(45)
int num_sum(void *ctx)
{
	int i, sum = 0;

	bpf_for(i, 0, 10)
		sum += i;
	return sum;
}

SEC("syscall")
__description("left early with break")
__success __retval(10)
int num_break(void *ctx)
{
	int i, sum = 0;

	bpf_for(i, 0, 1000) {
		if (i == 5)
			break;
		sum += i;
	}
	return sum;
}

SEC("syscall")
__description("left early with return: destroy still runs")
__success __retval(7)
int num_return(void *ctx)
{
	int i;

	bpf_for(i, 0, 1000) {
		if (i == 7)
			return i;
	}
	return -1;
}

SEC("syscall")
__description("continue goes on with the next number")
__success __retval(25)
int num_continue(void *ctx)
{
	int i, sum = 0;

	bpf_for(i, 0, 10) {
		if (i % 2 == 0)
			continue;
		sum += i;
	}
	return sum;
}

SEC("syscall")
__description("two loops, one in the other")
__success __retval(450)
int num_nested(void *ctx)
{
	int i, j, sum = 0;

	bpf_for(i, 0, 10)
		bpf_for(j, 0, 10)
			sum += j;
	return sum;
}

SEC("syscall")
__description("three loops, left from the innermost")
__success __retval(3210)
int num_nested_break(void *ctx)
{
	int i, j, k, found = 0;

	bpf_for(i, 0, 5) {
		bpf_for(j, 0, 5) {
			bpf_for(k, 0, 5) {
				found = i * 1000 + j * 100 + k * 10;
				if (found == 3210)
					return found;
			}
		}
	}
	return -1;
}

SEC("syscall")
__description("bpf_repeat runs its body that often")
__success __retval(13)
int num_repeat(void *ctx)
{
	int rounds = 0;

	bpf_repeat(13)
		rounds++;
	return rounds;
}

SEC("syscall")
__description("an empty range yields nothing")
__success __retval(0)
int num_empty(void *ctx)
{
	int i, rounds = 0;

	bpf_for(i, 3, 3)
		rounds++;
	return rounds;
}

SEC("syscall")
__description("negative numbers in order")
__success __retval(-6)
int num_negative(void *ctx)
{
	int i, sum = 0;

	bpf_for(i, -3, 0)
		sum += i;
	return sum;
}

/* new's own result: negative errno, zero-extended in r0. */
static int result_of_new(int start, int end)
{
	struct bpf_iter_num it;
	int err = bpf_iter_num_new(&it, start, end);

	bpf_iter_num_destroy(&it);
	return err;
}

SEC("syscall")
__description("start above end: -EINVAL")
__success __retval(-22)
int num_backwards(void *ctx)
{
	return result_of_new(5, 2);
}

SEC("syscall")
__description("a range of more than 8 Mi numbers: -E2BIG")
__success __retval(-7)
int num_too_big(void *ctx)
{
	return result_of_new(0, MAX_LOOPS + 1);
}

SEC("syscall")
__description("a range of exactly 8 Mi numbers is allowed")
__success __retval(0)
int num_biggest(void *ctx)
{
	return result_of_new(0, MAX_LOOPS);
}

SEC("syscall")
__description("the whole range of int is too big")
__success __retval(-7)
int num_whole_range(void *ctx)
{
	return result_of_new(INT_MIN, INT_MAX);
}

SEC("syscall")
__description("a loop over a range that new refused does nothing")
__success __retval(0)
int num_refused(void *ctx)
{
	int i, rounds = 0;

	bpf_for(i, 5, 2)
		rounds++;
	return rounds;
}

SEC("syscall")
__description("two numbers from the very bottom")
__success __retval(2)
int num_bottom(void *ctx)
{
	struct bpf_iter_num it;
	int *elem, rounds = 0;

	bpf_iter_num_new(&it, INT_MIN, INT_MIN + 2);
	while ((elem = bpf_iter_num_next(&it))) {
		if (*elem == INT_MIN + rounds)
			rounds++;
	}
	bpf_iter_num_destroy(&it);
	return rounds;
}

SEC("syscall")
__description("after the end, next stays NULL")
__success __retval(1)
int num_after_end(void *ctx)
{
	struct bpf_iter_num it;
	bool again;

	bpf_iter_num_new(&it, 0, 1);
	bpf_iter_num_next(&it);
	bpf_iter_num_next(&it);
	again = bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return !again;
}

SEC("syscall")
__description("one iterator on the stack, used again after destroy")
__success __retval(12)
int num_reused(void *ctx)
{
	struct bpf_iter_num it;
	int *elem, sum = 0;

	bpf_iter_num_new(&it, 0, 4);
	while ((elem = bpf_iter_num_next(&it)))
		sum += *elem;
	bpf_iter_num_destroy(&it);
	bpf_iter_num_new(&it, 1, 4);
	while ((elem = bpf_iter_num_next(&it)))
		sum += *elem;
	bpf_iter_num_destroy(&it);
	return sum;
}

SEC("syscall")
__description("an element pointer shows the number that is current, and 0 after the end")
__success __retval(20)
int num_element_is_live(void *ctx)
{
	struct bpf_iter_num it;
	int *first, *second, sum = 0;

	bpf_iter_num_new(&it, 7, 9);
	first = bpf_iter_num_next(&it);
	second = bpf_iter_num_next(&it);
	if (first && second && first == second)
		sum = *(volatile int *)first * 2 + 4;
	if (first && !bpf_iter_num_next(&it))
		sum += *(volatile int *)first;
	bpf_iter_num_destroy(&it);
	return sum;
}

SEC("raw_tp")
__description("in a program that may not sleep")
__success __retval(6)
int num_raw_tp(void *ctx)
{
	int i, sum = 0;

	bpf_for(i, 0, 4)
		sum += i;
	return sum;
}

SEC("socket")
__description("in a socket filter")
__success __retval(3)
int num_socket(struct __sk_buff *skb)
{
	int i, sum = 0;

	bpf_for(i, 0, 3)
		sum += i;
	return sum;
}
