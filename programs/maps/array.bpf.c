/* BPF_MAP_TYPE_ARRAY: elements that are always there. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define EEXIST 17
#define ENOENT 2
#define EINVAL 22
#define E2BIG 7

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} map SEC(".maps");

SEC("syscall")
__description("written and read back")
__success __retval(42)
int write_read(void *ctx)
{
	__u64 value = 42, *found;
	__u32 key = 3;

	bpf_map_update_elem(&map, &key, &value, BPF_ANY);
	found = bpf_map_lookup_elem(&map, &key);
	return found ? *found : -1;
}

SEC("syscall")
__description("what nobody wrote is zero")
__success __retval(0)
int zero_at_first(void *ctx)
{
	__u32 key = 7;
	__u64 *found = bpf_map_lookup_elem(&map, &key);

	return found ? *found : -1;
}

SEC("syscall")
__description("an index behind the end finds nothing")
__success __retval(1)
int past_end(void *ctx)
{
	__u32 key = 8;

	barrier_var(key);
	return !bpf_map_lookup_elem(&map, &key);
}

SEC("syscall")
__description("an index behind the end cannot be written: -E2BIG")
__success __retval(-7)
int past_end_update(void *ctx)
{
	__u64 value = 1;
	__u32 key = 8;

	return bpf_map_update_elem(&map, &key, &value, BPF_ANY);
}

SEC("syscall")
__description("elements are always there: BPF_NOEXIST fails with -EEXIST")
__success __retval(-17)
int always_there(void *ctx)
{
	__u64 value = 1;
	__u32 key = 0;

	return bpf_map_update_elem(&map, &key, &value, BPF_NOEXIST);
}

SEC("syscall")
__description("elements cannot be deleted: -EINVAL")
__success __retval(-22)
int no_delete(void *ctx)
{
	__u32 key = 0;

	return bpf_map_delete_elem(&map, &key);
}

SEC("syscall")
__description("flags that there are not: -EINVAL")
__success __retval(-22)
int bad_flags(void *ctx)
{
	__u64 value = 1;
	__u32 key = 0;

	return bpf_map_update_elem(&map, &key, &value, 8);
}

SEC("syscall")
__description("a value is written through its pointer")
__success __retval(7)
int through_pointer(void *ctx)
{
	__u32 key = 5;
	__u64 *found = bpf_map_lookup_elem(&map, &key), *again;

	if (!found)
		return -1;
	*found = 7;
	again = bpf_map_lookup_elem(&map, &key);
	return again ? *again : -2;
}

struct three {
	char bytes[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct three);
} odd SEC(".maps");

SEC("syscall")
__description("values of three bytes lie eight apart")
__success __retval(8)
int odd_values(void *ctx)
{
	__u32 first = 0, second = 1;
	char *a = bpf_map_lookup_elem(&odd, &first);
	char *b = bpf_map_lookup_elem(&odd, &second);

	return a && b ? (__u64)b - (__u64)a : -1;
}
