/* Loads and stores through every sort of pointer; a real verifier's verdicts are in the .json files. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __ksym __attribute__((section(".ksyms")))
#define noinline __attribute__((noinline))
#define PAI __attribute__((preserve_access_index))

struct mm_struct {
	u64 mmap_base;
	struct task_struct *owner;
} PAI;

struct cgroup {
	int level;
} PAI;

struct css_set {
	struct cgroup *dfl_cgrp;
} PAI;

struct file {
	struct inode *f_inode;
	unsigned int f_flags;
} PAI;

struct inode {
	u64 i_ino;
} PAI;

struct vm_area_struct {
	u64 vm_start;
	u64 vm_end;
	u64 vm_flags;
	struct mm_struct *vm_mm;
	struct file *vm_file;
} PAI;

struct task_struct {
	int pid;
	void *stack;
	struct mm_struct *mm;
	struct task_struct *real_parent, *parent, *group_leader;
	struct css_set *cgroups;
	char comm[16];
} PAI;

struct bpf_iter_num {
	u64 __opaque[1];
} __attribute__((aligned(8)));
struct bpf_iter_task {
	u64 __opaque[3];
} __attribute__((aligned(8)));
struct bpf_iter_task_vma {
	u64 __opaque[1];
} __attribute__((aligned(8)));
struct bpf_iter_bits {
	u64 __opaque[2];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task,
			     unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task,
				 u64 addr) __ksym;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) __ksym;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void *bpf_rdonly_cast(const void *obj, u32 btf_id) __ksym;

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value,
				   u64 flags) = (void *)2;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_probe_read_kernel)(void *dst, u32 size, const void *from) = (void *)113;
static void *(*bpf_ringbuf_reserve)(void *ringbuf, u64 size, u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, u64 flags) = (void *)132;
static struct task_struct *(*bpf_get_current_task_btf)(void) = (void *)158;
static long (*bpf_for_each_map_elem)(void *map, void *fn, void *ctx, u64 flags) = (void *)164;
static long (*bpf_loop)(u32 n, void *fn, void *ctx, u64 flags) = (void *)181;

struct {
	__uint(type, 1);
	__uint(max_entries, 16);
	__type(key, u32);
	__type(value, u64);
} hash SEC(".maps");

struct {
	__uint(type, 27);
	__uint(max_entries, 4096);
} records SEC(".maps");

u64 total, counts[16];
const volatile int limit = 8;

SEC("raw_tp/sys_enter")
int members(u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	u64 sum = t->pid + t->mm->mmap_base + t->mm->owner->pid + t->parent->pid + t->comm[3];

	sum += t->real_parent->pid + t->real_parent->real_parent->pid + t->group_leader->pid;
	sum += t->cgroups->dfl_cgrp->level + *(int *)t->stack;
	return sum + ctx[1];
}

SEC("syscall")
int members_asleep(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf(), *p;
	u64 sum = t->pid + t->real_parent->pid + t->mm->mmap_base;

	bpf_rcu_read_lock();
	p = t->real_parent;
	sum += p->pid + t->cgroups->dfl_cgrp->level;
	bpf_rcu_read_unlock();
	return sum + p->pid + t->group_leader->real_parent->pid;
}

SEC("tp/sched/sched_switch")
int acquired(u64 *ctx)
{
	struct task_struct *t = bpf_task_from_pid(limit), *c = bpf_get_current_task_btf(), *q;
	int sum;

	if (!t)
		return 0;
	sum = t->pid + t->real_parent->pid + t->mm->mmap_base;
	bpf_task_release(t);
	q = bpf_task_acquire(c);
	if (q) {
		sum += q->pid;
		bpf_task_release(q);
	}
	return sum;
}

SEC("raw_tp/sys_enter")
int cast(u64 *ctx)
{
	struct task_struct *t = bpf_rdonly_cast((void *)ctx[0],
						__builtin_btf_type_id(*(struct task_struct *)0, 1));
	u64 *raw = bpf_rdonly_cast((void *)ctx[1], 0);

	return t->pid + t->real_parent->mm->mmap_base + raw[2];
}

SEC("raw_tp/sys_enter")
int tasks(u64 *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *t;
	u64 sum = 0;

	bpf_iter_task_new(&it, 0, 0);
	while ((t = bpf_iter_task_next(&it)))
		sum += t->pid + t->real_parent->pid + t->mm->mmap_base;
	bpf_iter_task_destroy(&it);
	return sum;
}

SEC("raw_tp/sys_enter")
int vmas(u64 *ctx)
{
	struct bpf_iter_task_vma it;
	struct vm_area_struct *vma;
	u32 key = 0;
	u64 *slot;

	bpf_iter_task_vma_new(&it, bpf_get_current_task_btf(), 0);
	while ((vma = bpf_iter_task_vma_next(&it))) {
		struct file *file = vma->vm_file;

		key = vma->vm_flags & 7;
		slot = bpf_map_lookup_elem(&hash, &key);
		if (slot)
			*slot += vma->vm_end - vma->vm_start;
		if (file)
			total += file->f_inode->i_ino + vma->vm_mm->mmap_base;
	}
	bpf_iter_task_vma_destroy(&it);
	return 0;
}

SEC("raw_tp/sys_enter")
int numbers(u64 *ctx)
{
	struct bpf_iter_num it;
	u64 local[4] = {};
	int *n;

	bpf_iter_num_new(&it, 0, limit);
	while ((n = bpf_iter_num_next(&it))) {
		local[*n & 3] += ctx[0];
		counts[*n & 15] += *n;
	}
	bpf_iter_num_destroy(&it);
	return local[0] + local[1] + local[2] + local[3];
}

struct job {
	struct task_struct *task;
	u64 *out;
	u64 sum;
};

static long each(u32 index, void *ctx)
{
	struct job *job = ctx;

	job->sum += job->task->pid;
	*job->out += index;
	return 0;
}

static long element(void *map, u32 *key, u64 *value, struct job *job)
{
	job->sum += *key + *value;
	*value = 0;
	return 0;
}

SEC("raw_tp/sys_enter")
int callbacks(u64 *ctx)
{
	u64 out = 0;
	struct job job = {.task = bpf_get_current_task_btf(), .out = &out};

	bpf_loop(4, each, &job, 0);
	bpf_for_each_map_elem(&hash, element, &job, 0);
	return out + job.sum + job.task->pid;
}

static noinline struct task_struct *up(struct task_struct *t)
{
	return t->real_parent;
}

static noinline int fill(u64 *out, struct task_struct *t)
{
	out[0] = t->pid;
	out[1] += t->mm->mmap_base;
	return 0;
}

SEC("raw_tp/sys_enter")
int calls(u64 *ctx)
{
	struct task_struct *t = up(bpf_get_current_task_btf());
	u64 local[2] = {};

	fill(local, t);
	fill(counts, t);
	return up(t)->pid + local[0] + local[1];
}

SEC("raw_tp/sys_enter")
int either(u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	if (ctx[1] & 1)
		t = t->real_parent;
	else if (ctx[1] & 2)
		t = t->parent;
	return t->pid;
}

SEC("raw_tp/sys_enter")
int spills(u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf(), *p = t->real_parent, *q = t->parent;
	struct mm_struct *mm = t->mm;
	u64 a = bpf_ktime_get_ns(), b = bpf_ktime_get_ns(), c = bpf_ktime_get_ns(), buf = 0;

	bpf_probe_read_kernel(&buf, sizeof(buf), (void *)a);
	return t->pid + p->pid + q->pid + mm->mmap_base + a * b + c + ctx[0] + buf;
}

SEC("raw_tp/sys_enter")
int record(u64 *ctx)
{
	u64 *r = bpf_ringbuf_reserve(&records, 32, 0);

	if (!r)
		return 0;
	r[0] = ctx[0];
	r[3] = r[0] + total;
	__sync_fetch_and_add(&total, 1);
	__sync_fetch_and_add(&r[1], 1);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex;
};

SEC("xdp")
int packet(struct xdp_md *ctx)
{
	u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;
	u32 key = ctx->ingress_ifindex;
	u64 *value;

	if (data + 14 > end)
		return 1;
	value = bpf_map_lookup_elem(&hash, &key);
	if (value)
		*value += data[12];
	data[0] = 1;
	return 2;
}

struct pt_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
};

SEC("kprobe/do_nanosleep")
int registers(struct pt_regs *ctx)
{
	u32 key = ctx->di;
	u64 value = ctx->si;

	bpf_map_update_elem(&hash, &key, &value, 0);
	return value;
}

char LICENSE[] SEC("license") = "GPL";
