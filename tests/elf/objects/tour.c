/* One of each thing that an object file can say; compiled by several clangs (see build.sh). */
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __ksym __attribute__((section(".ksyms")))
#define __kconfig __attribute__((section(".kconfig")))
#define __weak __attribute__((weak))
#define __hidden __attribute__((visibility("hidden")))
#define noinline __attribute__((noinline))

struct bpf_iter_num {
	u64 __opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern int bpf_is_not_there___v2(int x) __weak __ksym;
extern const void some_symbol __weak __ksym;
extern int CONFIG_HZ __kconfig;
extern u32 LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_BPF __kconfig;
extern char CONFIG_LSM[8] __kconfig __weak;

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_loop)(u32 n, void *fn, void *ctx, u64 flags) = (void *)181;

struct task_struct {
	int pid;
	struct task_struct *real_parent;
} __attribute__((preserve_access_index));

struct {
	__uint(type, 1);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

struct {
	__uint(type, 27);
	__uint(max_entries, 5000);
} records SEC(".maps");

struct inner {
	__uint(type, 2);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 8);
} inner_one SEC(".maps"), inner_two SEC(".maps");

struct {
	__uint(type, 12);
	__uint(max_entries, 3);
	__type(key, u32);
	__array(values, struct inner);
} outer SEC(".maps") = {
	.values = {[0] = &inner_one, [2] = &inner_two},
};

const volatile int limit = 3;
const volatile char name[] SEC(".rodata.name") = "tour";
int written = 5;
u64 zeros[4];
static u64 hidden_count;
u64 quiet __hidden;

static noinline int twice(int a)
{
	hidden_count += a;
	return a * 2 + written;
}

noinline int chained(int a)
{
	return twice(a) + zeros[1];
}

static long each(u32 index, void *ctx)
{
	*(u64 *)ctx += index;
	return 0;
}

SEC("raw_tp/sys_enter")
int tour(u64 *ctx)
{
	struct bpf_iter_num it;
	u64 sum = 0, *value;
	u32 key = 1;
	int *v;

	bpf_iter_num_new(&it, 0, limit);
	while ((v = bpf_iter_num_next(&it)))
		sum += *v;
	bpf_iter_num_destroy(&it);
	value = bpf_map_lookup_elem(&counts, &key);
	if (value)
		*value += sum;
	bpf_loop(4, each, &sum, 0);
	if (&some_symbol)
		sum++;
	if (bpf_is_not_there___v2)
		sum += bpf_is_not_there___v2(1);
	sum += CONFIG_HZ + LINUX_KERNEL_VERSION + CONFIG_BPF + CONFIG_LSM[0];
	quiet += name[0];
	bpf_map_lookup_elem(&outer, &key);
	return sum + twice(1) + chained(2);
}

SEC("?tp_btf/sched_switch")
int switched(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[2];

	return task->real_parent->pid;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
u32 _version SEC("version") = 0x060c00;
