/* bpf_iter_bits: the positions of set bits, in memory that is copied first. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define MOST_WORDS 511

__u64 words[MOST_WORDS];

SEC("syscall")
__description("the bits of 0x89, lowest first")
__success __retval(37)
int bits_in_order(void *ctx)
{
	__u64 word = 0x89; /* bits 0, 3 and 7 */
	int *bit, seen = 0;

	bpf_for_each(bits, bit, &word, 1)
		seen = seen * 10 + *bit;
	return seen;
}

SEC("syscall")
__description("a zero word has none")
__success __retval(0)
int bits_none(void *ctx)
{
	__u64 word = 0;
	int *bit, count = 0;

	bpf_for_each(bits, bit, &word, 1)
		count++;
	return count;
}

SEC("syscall")
__description("bit 63 alone")
__success __retval(63)
int bits_top(void *ctx)
{
	__u64 word = 1ULL << 63;
	int *bit, last = -1;

	bpf_for_each(bits, bit, &word, 1)
		last = *bit;
	return last;
}

SEC("syscall")
__description("the second word starts at 64")
__success __retval(191)
int bits_two_words(void *ctx)
{
	__u64 pair[2] = { 1, 1 | 1ULL << 63 };
	int *bit, sum = 0;

	bpf_for_each(bits, bit, pair, 2)
		sum += *bit; /* 0 + 64 + 127 */
	return sum;
}

SEC("syscall")
__description("left early")
__success __retval(9)
int bits_break(void *ctx)
{
	__u64 word = 0xf0f0;
	int *bit, rounds = 0;

	bpf_for_each(bits, bit, &word, 1) {
		rounds++;
		if (*bit == 12)
			break;
	}
	return rounds + 4; /* 4 5 6 7 12 */
}

SEC("syscall")
__description("511 words are the most: 4088 bytes")
__success __retval(4)
int bits_most_words(void *ctx)
{
	int *bit, count = 0;

	words[0] = 1;
	words[1] = 2;
	words[MOST_WORDS - 2] = 4;
	words[MOST_WORDS - 1] = 8;
	bpf_for_each(bits, bit, words, MOST_WORDS)
		count++;
	return count;
}

SEC("syscall")
__description("more words than the loop looks at: only the first counts")
__success __retval(1)
int bits_fewer_words(void *ctx)
{
	__u64 pair[2] = { 4, ~0ULL };
	int *bit, count = 0;

	bpf_for_each(bits, bit, pair, 1)
		count++;
	return count;
}

SEC("syscall")
__description("a copy is walked: the source may change")
__success __retval(3)
int bits_copied(void *ctx)
{
	__u64 pair[2] = { 7, 0 };
	int *bit, count = 0;

	bpf_for_each(bits, bit, pair, 2) {
		pair[0] = pair[1] = ~0ULL;
		barrier();
		count++;
	}
	return count;
}

/* What new says about a place and a number of words. */
static int result_of_new(const void *at, __u32 count)
{
	struct bpf_iter_bits it;
	int err = bpf_iter_bits_new(&it, at, count);

	if (bpf_iter_bits_next(&it))
		err = 1000;
	bpf_iter_bits_destroy(&it);
	return err;
}

SEC("syscall")
__description("NULL: -EINVAL")
__success __retval(-22)
int bits_null(void *ctx)
{
	return result_of_new(NULL, 1);
}

SEC("syscall")
__description("no words: -EINVAL")
__success __retval(-22)
int bits_no_words(void *ctx)
{
	return result_of_new(words, 0);
}

SEC("syscall")
__description("512 words: -E2BIG")
__success __retval(-7)
int bits_too_many_words(void *ctx)
{
	return result_of_new(words, MOST_WORDS + 1);
}

SEC("syscall")
__description("so many words that their bytes wrap: -E2BIG all the same")
__success __retval(-7)
int bits_wrapping_words(void *ctx)
{
	return result_of_new(words, 0x20000001);
}

SEC("syscall")
__description("one word from an address that faults: -EFAULT")
__success __retval(-14)
int bits_bad_address(void *ctx)
{
	return result_of_new((void *)-4095, 1);
}

SEC("syscall")
__description("two words from an address that faults: -EFAULT, straight from the reader")
__success __retval(-14)
int bits_bad_address_two(void *ctx)
{
	return result_of_new((void *)-4095, 2);
}

SEC("syscall")
__description("one word from a user address: -EFAULT")
__success __retval(-14)
int bits_user_address(void *ctx)
{
	return result_of_new((void *)0x1000, 1);
}

SEC("syscall")
__description("two words from a user address: -ERANGE, straight from the reader")
__success __retval(-34)
int bits_user_address_two(void *ctx)
{
	return result_of_new((void *)0x1000, 2);
}

SEC("syscall")
__description("each bit of one word with each bit of another")
__success __retval(12)
int bits_nested(void *ctx)
{
	__u64 three = 0x111, four = 0xf;
	int *outer, *inner, pairs = 0;

	bpf_for_each(bits, outer, &three, 1)
		bpf_for_each(bits, inner, &four, 1)
			pairs++;
	return pairs;
}

SEC("raw_tp")
__description("in a program that may not sleep, from the allocator")
__success __retval(64)
int bits_raw_tp(void *ctx)
{
	__u64 pair[2] = { 0xf0f0f0f0f0f0f0f0, 0xf0f0f0f0f0f0f0f0 };
	int *bit, count = 0;

	bpf_for_each(bits, bit, pair, 2)
		count++;
	return count;
}
