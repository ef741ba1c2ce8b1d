/* Iterators inside callbacks, and callbacks inside loops. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} numbers SEC(".maps");

struct sum {
	int value;
};

static int add_range(__u64 index, void *data)
{
	struct sum *sum = data;
	int i;

	bpf_for(i, 0, 4)
		sum->value += i;
	return 0;
}

SEC("syscall")
__description("a loop in the callback of bpf_loop")
__success __retval(30)
int callback_loop(void *ctx)
{
	struct sum sum = {};

	bpf_loop(5, add_range, &sum, 0);
	return sum.value;
}

static int stop_at_three(__u64 index, void *data)
{
	struct sum *sum = data;
	int i;

	bpf_for(i, 0, 10) {
		if (i == 2)
			break;
		sum->value++;
	}
	return index == 3;
}

SEC("syscall")
__description("loops left early in a callback that stops early")
__success __retval(88)
int callback_stops(void *ctx)
{
	struct sum sum = {};
	int rounds = bpf_loop(100, stop_at_three, &sum, 0);

	return rounds * 20 + sum.value; /* 4 rounds of 2 */
}

static int count_bits(struct bpf_map *map, const void *key, void *value, void *data)
{
	struct sum *sum = data;
	__u64 word = *(__u32 *)value;
	int *bit;

	bpf_for_each(bits, bit, &word, 1)
		sum->value++;
	return 0;
}

SEC("syscall")
__description("a walk over bits in the callback of bpf_for_each_map_elem")
__success __retval(14)
int callback_each_elem(void *ctx)
{
	struct sum sum = {};
	__u32 i;

	bpf_for(i, 0, 4) {
		__u32 key = i, value = 0xf0f >> (4 * i); /* 8, 4, 4 and 0 bits */

		bpf_map_update_elem(&numbers, &key, &value, BPF_ANY);
	}
	bpf_for_each_map_elem(&numbers, count_bits, &sum, 0);
	return sum.value - 2;
}

static int add_vmas(__u64 index, void *data)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma;
	struct sum *sum = data;

	bpf_for_each(task_vma, vma, task, 0) {
		sum->value++;
		if (sum->value % 2 == 0)
			break;
	}
	return 0;
}

SEC("syscall")
__description("a walk over VMAs in a callback, left early")
__success __retval(6)
int callback_vma(void *ctx)
{
	struct sum sum = {};

	bpf_loop(3, add_vmas, &sum, 0);
	return sum.value;
}

static int add_index(__u64 index, void *data)
{
	struct sum *sum = data;

	sum->value += index;
	return 0;
}

SEC("syscall")
__description("bpf_loop in the body of a loop")
__success __retval(18)
int loop_calls_back(void *ctx)
{
	struct sum sum = {};
	int i;

	bpf_for(i, 0, 3)
		bpf_loop(4, add_index, &sum, 0); /* 0 + 1 + 2 + 3 */
	return sum.value;
}
