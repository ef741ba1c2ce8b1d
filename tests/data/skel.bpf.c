/* What the skeleton, session and command-line tests open: every kind of map and global. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct pair {
	__u32 a;
	__s16 b;
	char name[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct pair);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u64);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} per_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct event {
	__u32 kind;
	__u32 value;
};

const volatile __u32 factor = 3;
const volatile char label[8] = "plain";
__u32 runs;
__s32 signed_value = -5;
__u64 wide SEC(".data.wide") = 0x123456789abcdef0ULL;
struct pair both;

/* Not inlined: its prototype is what puts struct event into BTF. */
static __noinline int send(struct event *event)
{
	return bpf_ringbuf_output(&events, event, sizeof(*event), 0);
}

SEC("syscall")
int bump(void *ctx)
{
	__u32 key = 0;
	__u64 *slot = bpf_map_lookup_elem(&slots, &key);
	__u64 *mine = bpf_map_lookup_elem(&per_cpu, &key);
	struct pair pair = { .a = runs, .b = -1, .name = "pair" };
	struct event event = { .kind = 1, .value = runs * factor };

	runs++;
	if (slot)
		*slot += factor;
	if (mine)
		*mine += 1;
	bpf_map_update_elem(&table, &pair.a, &pair, 0);
	send(&event);
	both = pair;
	wide++;
	bpf_printk("run %d of %s", runs, label);
	return runs * factor;
}

SEC("raw_tp")
int context(void *ctx)
{
	return bpf_get_smp_processor_id() + signed_value;
}

SEC("?socket")
int broken(struct __sk_buff *skb)
{
	__u32 key = 77;
	__u64 *slot = bpf_map_lookup_elem(&slots, &key);

	return *slot;
}
