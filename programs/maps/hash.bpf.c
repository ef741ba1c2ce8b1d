/* BPF_MAP_TYPE_HASH: elements that come and go. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct key {
	__u32 a;
	__u32 b;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, struct key);
	__type(value, __u64);
} map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u64);
} on_demand SEC(".maps");

SEC("syscall")
__description("written, read back, deleted, gone")
__success __retval(111)
int come_and_go(void *ctx)
{
	struct key key = { 1, 2 };
	__u64 value = 9, *found;
	int points = 0;

	bpf_map_update_elem(&map, &key, &value, BPF_ANY);
	found = bpf_map_lookup_elem(&map, &key);
	if (found && *found == 9)
		points += 1;
	if (!bpf_map_delete_elem(&map, &key))
		points += 10;
	if (!bpf_map_lookup_elem(&map, &key))
		points += 100;
	return points;
}

SEC("syscall")
__description("what is not there cannot be deleted: -ENOENT")
__success __retval(-2)
int delete_missing(void *ctx)
{
	struct key key = { 77, 77 };

	return bpf_map_delete_elem(&map, &key);
}

SEC("syscall")
__description("BPF_EXIST without the element: -ENOENT")
__success __retval(-2)
int exist_missing(void *ctx)
{
	struct key key = { 78, 78 };
	__u64 value = 1;

	return bpf_map_update_elem(&map, &key, &value, BPF_EXIST);
}

SEC("syscall")
__description("BPF_NOEXIST with the element: -EEXIST")
__success __retval(-17)
int noexist_there(void *ctx)
{
	struct key key = { 3, 4 };
	__u64 value = 1;
	long err;

	bpf_map_update_elem(&map, &key, &value, BPF_ANY);
	err = bpf_map_update_elem(&map, &key, &value, BPF_NOEXIST);
	bpf_map_delete_elem(&map, &key);
	return err;
}

SEC("syscall")
__description("flags that there are not: -EINVAL")
__success __retval(-22)
int bad_flags(void *ctx)
{
	struct key key = { 5, 6 };
	__u64 value = 1;

	return bpf_map_update_elem(&map, &key, &value, 8);
}

SEC("syscall")
__description("a fifth element in a map of four: -E2BIG")
__success __retval(-7)
int full(void *ctx)
{
	__u64 value = 1;
	long err = 0;
	__u32 i;

	bpf_for(i, 0, 5) {
		__u32 key = i;

		err = bpf_map_update_elem(&on_demand, &key, &value, BPF_ANY);
	}
	return err;
}

SEC("syscall")
__description("an element that is there can be replaced in a full map")
__success __retval(0)
int replace_in_full(void *ctx)
{
	__u64 value = 1;
	__u32 i, first = 0;

	bpf_for(i, 0, 4) {
		__u32 key = i;

		bpf_map_update_elem(&on_demand, &key, &value, BPF_ANY);
	}
	return bpf_map_update_elem(&on_demand, &first, &value, BPF_EXIST);
}

SEC("syscall")
__description("every byte of the key counts")
__success __retval(2)
int whole_key(void *ctx)
{
	struct key one = { 1, 1 }, other = { 1, 2 };
	__u64 value = 5;
	int found = 0;

	bpf_map_update_elem(&map, &one, &value, BPF_ANY);
	value = 6;
	bpf_map_update_elem(&map, &other, &value, BPF_ANY);
	if (bpf_map_lookup_elem(&map, &one))
		found++;
	if (bpf_map_lookup_elem(&map, &other))
		found++;
	bpf_map_delete_elem(&map, &one);
	bpf_map_delete_elem(&map, &other);
	return found;
}
