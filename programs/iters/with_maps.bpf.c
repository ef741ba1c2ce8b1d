/* Loops that fill and read maps. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, int);
	__type(value, __u64);
} squares SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct proc {
	int pid;
	char comm[16];
};

SEC("syscall")
__description("a hash map filled in one loop and summed up in another")
__success __retval(285)
int maps_squares(void *ctx)
{
	__u64 sum = 0;
	int i;

	bpf_for(i, 0, 10) {
		int key = i;
		__u64 value = (__u64)i * i;

		bpf_map_update_elem(&squares, &key, &value, BPF_ANY);
	}
	bpf_for(i, 0, 10) {
		int key = i;
		__u64 *value = bpf_map_lookup_elem(&squares, &key);

		if (value)
			sum += *value;
	}
	return sum;
}

SEC("syscall")
__description("the map takes 64 elements, further ones are refused with -E2BIG")
__success __retval(36)
int maps_full(void *ctx)
{
	int i, refused = 0;

	bpf_for(i, 1000, 1100) {
		int key = i;
		__u64 value = i;

		if (bpf_map_update_elem(&squares, &key, &value, BPF_ANY) == -7)
			refused++;
	}
	bpf_for(i, 1000, 1100) {
		int key = i;

		bpf_map_delete_elem(&squares, &key);
	}
	return refused;
}

__u64 seen, counted;

SEC("syscall")
__description("VMAs counted by the logarithm of their size")
__success __retval(1)
int maps_vma_sizes(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma;
	__u32 i;

	seen = counted = 0;
	bpf_for(i, 0, 16) {
		__u32 key = i;
		__u64 zero = 0;

		bpf_map_update_elem(&buckets, &key, &zero, BPF_ANY);
	}
	bpf_for_each(task_vma, vma, task, 0) {
		__u64 pages = (vma->vm_end - vma->vm_start) >> 12, *count;
		__u32 key = 0;

		if (pages >= 256)
			key = 8;
		else if (pages >= 16)
			key = 4;
		count = bpf_map_lookup_elem(&buckets, &key);
		if (count)
			(*count)++;
		seen++;
	}
	bpf_for(i, 0, 16) {
		__u32 key = i;
		__u64 *count = bpf_map_lookup_elem(&buckets, &key);

		if (count)
			counted += *count;
	}
	return seen && seen == counted;
}

SEC("raw_tp")
__description("a ring buffer record for each of the first two processes")
__success __retval(1)
int maps_procs(void *ctx)
{
	struct task_struct *task;
	struct proc *record;
	int sent = 0, looked_at = 0;

	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_PROCS) {
		if (++looked_at > 2)
			break;
		record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
		if (!record)
			continue;
		record->pid = task->pid;
		bpf_probe_read_kernel_str(record->comm, sizeof(record->comm), task->comm);
		bpf_ringbuf_submit(record, 0);
		sent++;
	}
	return sent >= 1 && sent <= 2;
}
