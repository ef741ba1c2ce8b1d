/* bpf_loop and bpf_for_each_map_elem: the kernel calls back into the program. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define MAX_LOOPS (8 * 1024 * 1024)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 5);
	__type(key, __u32);
	__type(value, __u32);
} list SEC(".maps");

struct state {
	__u64 sum;
	__u64 calls;
};

static int add(__u64 index, void *data)
{
	struct state *state = data;

	state->sum += index;
	state->calls++;
	return 0;
}

SEC("syscall")
__description("the callback gets 0, 1, 2, … and its context")
__success __retval(4505)
int loop(void *ctx)
{
	struct state state = {};
	long rounds = bpf_loop(10, add, &state, 0);

	return state.sum * 100 + state.calls / 2 + rounds - 10;
}

static int stop(__u64 index, void *data)
{
	return index == 3;
}

SEC("syscall")
__description("1 from the callback ends the loop; the rounds done are returned")
__success __retval(4)
int loop_stops(void *ctx)
{
	return bpf_loop(100, stop, NULL, 0);
}

SEC("syscall")
__description("no round at all")
__success __retval(0)
int loop_none(void *ctx)
{
	struct state state = {};

	return bpf_loop(0, add, &state, 0) + state.calls;
}

SEC("syscall")
__description("more than 8 Mi rounds: -E2BIG")
__success __retval(-7)
int loop_too_many(void *ctx)
{
	struct state state = {};

	return bpf_loop(MAX_LOOPS + 1, add, &state, 0);
}

SEC("syscall")
__description("flags are none: -EINVAL")
__success __retval(-22)
int loop_flags(void *ctx)
{
	struct state state = {};

	return bpf_loop(1, add, &state, 1);
}

static int inner(__u64 index, void *data)
{
	return add(index, data);
}

static int outer(__u64 index, void *data)
{
	bpf_loop(3, inner, data, 0);
	return 0;
}

SEC("syscall")
__description("a loop in a loop")
__success __retval(12)
int loop_nested(void *ctx)
{
	struct state state = {};

	bpf_loop(4, outer, &state, 0);
	return state.sum; /* 4 times 0 + 1 + 2 */
}

static int sum_table(struct bpf_map *map, const void *key, void *value, void *data)
{
	struct state *state = data;

	state->sum += *(__u32 *)key * 1000 + *(__u64 *)value;
	state->calls++;
	return 0;
}

SEC("syscall")
__description("each element of a hash map")
__success __retval(6033)
int each_hash(void *ctx)
{
	struct state state = {};
	long count;
	__u32 i;

	bpf_for(i, 1, 4) {
		__u32 key = i;
		__u64 value = i * 5;

		bpf_map_update_elem(&table, &key, &value, BPF_ANY);
	}
	count = bpf_for_each_map_elem(&table, sum_table, &state, 0);
	return state.sum + count; /* 1000 + 2000 + 3000, 5 + 10 + 15, 3 */
}

static int fill(struct bpf_map *map, const void *key, void *value, void *data)
{
	*(__u32 *)value = *(__u32 *)key * 3;
	return *(__u32 *)key == 3;
}

SEC("syscall")
__description("each element of an array in order, written, and ended by the callback")
__success __retval(409)
int each_array(void *ctx)
{
	long count = bpf_for_each_map_elem(&list, fill, NULL, 0);
	__u32 key = 3, *value;

	value = bpf_map_lookup_elem(&list, &key);
	return value ? count * 100 + *value : -1;
}

SEC("syscall")
__description("flags are none: -EINVAL")
__success __retval(-22)
int each_flags(void *ctx)
{
	return bpf_for_each_map_elem(&list, fill, NULL, 1);
}
