/* Every atomic operation, 32 and 64 bits wide, with and without the old value. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u64 wide;
__u32 narrow;

SEC("raw_tp")
__description("add without the old value")
__success __retval(35)
int add(void *ctx)
{
	wide = 10;
	narrow = 20;
	__sync_fetch_and_add(&wide, 2);
	__sync_fetch_and_add(&narrow, 3);
	return wide + narrow;
}

SEC("raw_tp")
__description("a 32-bit add wraps and leaves its neighbour alone")
__success __retval(1)
int add_wraps(void *ctx)
{
	__u64 word = 0x1ffffffffULL;

	__sync_fetch_and_add((__u32 *)&word, 1);
	return word == 0x100000000ULL;
}

SEC("raw_tp")
__description("exchange hands back the old value")
__success __retval(1)
int exchange(void *ctx)
{
	__u64 old;

	wide = 0x1122334455667788ULL;
	old = __sync_lock_test_and_set(&wide, 5);
	return old == 0x1122334455667788ULL && wide == 5;
}

SEC("raw_tp")
__description("compare and exchange, once in vain")
__success __retval(111)
int compare_exchange(void *ctx)
{
	int points = 0;

	wide = 7;
	if (__sync_val_compare_and_swap(&wide, 8, 9) == 7 && wide == 7)
		points += 1;
	if (__sync_val_compare_and_swap(&wide, 7, 9) == 7 && wide == 9)
		points += 10;
	narrow = 0xffffffff;
	if (__sync_val_compare_and_swap(&narrow, 0xffffffff, 1) == 0xffffffff && narrow == 1)
		points += 100;
	return points;
}

SEC("raw_tp")
__description("and, or, xor with the old value")
__success __retval(111)
int logic_fetch(void *ctx)
{
	int points = 0;

	wide = 0xff;
	if (__sync_fetch_and_and(&wide, 0x0f) == 0xff && wide == 0x0f)
		points += 1;
	if (__sync_fetch_and_or(&wide, 0xf0) == 0x0f && wide == 0xff)
		points += 10;
	if (__sync_fetch_and_xor(&wide, 0xaa) == 0xff && wide == 0x55)
		points += 100;
	return points;
}

SEC("raw_tp")
__description("and, or, xor on 32 bits: the old value has zeros above")
__success __retval(111)
int logic_fetch_narrow(void *ctx)
{
	int points = 0;

	narrow = 0xff00ff00;
	if ((__u64)__sync_fetch_and_and(&narrow, 0xf0f0f0f0) == 0xff00ff00 && narrow == 0xf000f000)
		points += 1;
	if ((__u64)__sync_fetch_and_or(&narrow, 0x0f) == 0xf000f000 && narrow == 0xf000f00f)
		points += 10;
	if ((__u64)__sync_fetch_and_xor(&narrow, 0xffffffff) == 0xf000f00f && narrow == 0x0fff0ff0)
		points += 100;
	return points;
}

SEC("raw_tp")
__description("subtract is adding the negative")
__success __retval(1)
int subtract(void *ctx)
{
	wide = 3;
	return __sync_fetch_and_sub(&wide, 5) == 3 && wide == (__u64)-2;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counter SEC(".maps");

SEC("raw_tp")
__description("counted in a map value")
__success __retval(6)
int in_map_value(void *ctx)
{
	__u64 *value, zero = 0;
	__u32 key = 0;

	bpf_map_update_elem(&counter, &key, &zero, BPF_ANY);
	value = bpf_map_lookup_elem(&counter, &key);
	if (!value)
		return -1;
	__sync_fetch_and_add(value, 1);
	__sync_fetch_and_add(value, 2);
	return __sync_fetch_and_add(value, 4) + (*value == 7 ? 3 : 0);
}

SEC("raw_tp")
__description("on the stack")
__success __retval(5)
int on_stack(void *ctx)
{
	__u64 slot = 4;

	__sync_fetch_and_add(&slot, 1);
	return slot;
}
