/*
 * A census of the current task's address space.
 *
 * Walks the task's VMAs, counts them and their bytes by permission in a hash map, sends one ring
 * buffer record for each executable one, and stops early when the limit in .rodata is reached.
 * Returns the number of VMAs seen.
 */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* include/linux/mm.h */
#define VM_READ 0x1
#define VM_WRITE 0x2
#define VM_EXEC 0x4
#define VM_SHARED 0x8

struct perm {
	char text[8]; /* "r-xp", as in /proc/PID/maps */
};

struct tally {
	__u64 count;
	__u64 bytes;
};

struct exec_vma {
	__u64 start;
	__u64 end;
	__u64 flags;
	char file[32]; /* last component of the path, "" when anonymous */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct perm);
	__type(value, struct tally);
} by_perm SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} exec_vmas SEC(".maps");

/* VMAs to look at; 0: all. Set before load. */
const volatile __u32 limit = 1024;

__u32 vmas;
__u32 executable;
__u32 dropped; /* records that found no room */
__u64 bytes;
__u64 lowest = ~0ULL;
__u64 highest;
bool stopped_early;

static void count(const struct vm_area_struct *vma, __u64 flags)
{
	struct perm key = {};
	struct tally *tally, first = {};
	__u64 size = vma->vm_end - vma->vm_start;

	key.text[0] = flags & VM_READ ? 'r' : '-';
	key.text[1] = flags & VM_WRITE ? 'w' : '-';
	key.text[2] = flags & VM_EXEC ? 'x' : '-';
	key.text[3] = flags & VM_SHARED ? 's' : 'p';

	tally = bpf_map_lookup_elem(&by_perm, &key);
	if (!tally) {
		bpf_map_update_elem(&by_perm, &key, &first, BPF_NOEXIST);
		tally = bpf_map_lookup_elem(&by_perm, &key);
		if (!tally)
			return;
	}
	__sync_fetch_and_add(&tally->count, 1);
	__sync_fetch_and_add(&tally->bytes, size);
}

/* Not inlined: its prototype is what puts struct exec_vma into BTF, so that tools can show records. */
static __noinline void fill(struct exec_vma *record, const struct vm_area_struct *vma, __u64 flags)
{
	struct file *file = vma->vm_file;

	record->start = vma->vm_start;
	record->end = vma->vm_end;
	record->flags = flags;
	__builtin_memset(record->file, 0, sizeof(record->file));
	if (file) {
		const unsigned char *name = BPF_CORE_READ(file, f_path.dentry, d_name.name);

		bpf_probe_read_kernel_str(record->file, sizeof(record->file), name);
	}
}

static void report(const struct vm_area_struct *vma, __u64 flags)
{
	struct exec_vma *record;

	record = bpf_ringbuf_reserve(&exec_vmas, sizeof(*record), 0);
	if (!record) {
		dropped++;
		return;
	}
	fill(record, vma, flags);
	bpf_printk("executable: %llx-%llx %s", record->start, record->end, record->file);
	bpf_ringbuf_submit(record, 0);
}

SEC("syscall")
__description("the current task's VMAs, counted by permission")
__success
int vma_census(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma;

	bpf_for_each(task_vma, vma, task, 0) {
		__u64 flags = vma->vm_flags;

		if (limit && vmas >= limit) {
			stopped_early = true;
			break;
		}
		vmas++;
		bytes += vma->vm_end - vma->vm_start;
		if (vma->vm_start < lowest)
			lowest = vma->vm_start;
		if (vma->vm_end > highest)
			highest = vma->vm_end;
		count(vma, flags);
		if (flags & VM_EXEC) {
			executable++;
			report(vma, flags);
		}
	}
	bpf_printk("%s[%d]: %u VMAs, %u executable, %llu KiB", task->comm, task->pid, vmas,
		   executable, bytes >> 10);
	return vmas;
}
