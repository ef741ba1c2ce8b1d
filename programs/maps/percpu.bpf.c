/* Per-CPU array and hash: each CPU has a value of its own. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} list SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

SEC("syscall")
__description("an element of this CPU")
__success __retval(5)
int array_here(void *ctx)
{
	__u64 value = 5, *found;
	__u32 key = 1;

	bpf_map_update_elem(&list, &key, &value, BPF_ANY);
	found = bpf_map_lookup_elem(&list, &key);
	return found ? *found : -1;
}

SEC("syscall")
__description("lookup_percpu_elem with this CPU's number finds the same value")
__success __retval(1)
int array_this_cpu(void *ctx)
{
	__u32 key = 0, cpu = bpf_get_smp_processor_id();
	__u64 *here = bpf_map_lookup_elem(&list, &key);
	__u64 *named = bpf_map_lookup_percpu_elem(&list, &key, cpu);

	return here && here == named;
}

SEC("syscall")
__description("a CPU that there is not has no value")
__success __retval(1)
int array_no_cpu(void *ctx)
{
	__u32 key = 0;

	return !bpf_map_lookup_percpu_elem(&list, &key, 100000);
}

SEC("syscall")
__description("a hash element of this CPU")
__success __retval(6)
int hash_here(void *ctx)
{
	__u64 value = 6, *found;
	__u32 key = 9;
	int result = -1;

	bpf_map_update_elem(&table, &key, &value, BPF_ANY);
	found = bpf_map_lookup_elem(&table, &key);
	if (found)
		result = *found;
	bpf_map_delete_elem(&table, &key);
	return result;
}

SEC("syscall")
__description("on another CPU a new hash element is zero")
__success __retval(0)
int hash_other_cpu(void *ctx)
{
	__u32 key = 10, cpu = !bpf_get_smp_processor_id();
	__u64 value = 6, *found;
	int result = -1;

	bpf_map_update_elem(&table, &key, &value, BPF_ANY);
	found = bpf_map_lookup_percpu_elem(&table, &key, cpu);
	if (found)
		result = *found;
	bpf_map_delete_elem(&table, &key);
	return result;
}

SEC("syscall")
__description("array elements cannot be deleted: -EINVAL")
__success __retval(-22)
int array_no_delete(void *ctx)
{
	__u32 key = 0;

	return bpf_map_delete_elem(&list, &key);
}
