/* Memory used wrongly.  The kernel's verifier refuses each, unless its tags say __success. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct block {
	__u64 words[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct block);
} blocks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct block);
} hashed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

/* An index that clang cannot know. */
volatile __u32 four = 4;
const volatile __u64 constant = 5;

SEC("?raw_tp")
__description("behind the end of an array map's value")
__failure __msg("invalid access to map value")
__fault(OUT_OF_BOUNDS)
int past_value(void *ctx)
{
	__u32 key = 1;
	struct block *block = bpf_map_lookup_elem(&blocks, &key);

	if (!block)
		return 0;
	return block->words[four + 0x7ff];
}

SEC("?raw_tp")
__description("in front of a hash map's value")
__failure __msg("R0 min value is negative")
__fault(OUT_OF_BOUNDS)
int before_value(void *ctx)
{
	struct block first = {}, *block;
	__u32 key = 1;

	bpf_map_update_elem(&hashed, &key, &first, BPF_ANY);
	block = bpf_map_lookup_elem(&hashed, &key);
	if (!block)
		return 0;
	return *(volatile __u32 *)((char *)block - 0x4000);
}

SEC("?raw_tp")
__description("a looked-up value used without asking whether it is there")
__failure __msg("invalid mem access 'map_value_or_null'")
__fault(NULL_DEREF)
int null_value(void *ctx)
{
	__u32 key = 77;
	struct block *block = bpf_map_lookup_elem(&hashed, &key);

	return *(volatile __u64 *)&block->words[1];
}

SEC("?raw_tp")
__description("a ring buffer record used after it was submitted")
__failure __msg("invalid mem access 'scalar'")
__fault(USE_AFTER_FREE)
int after_submit(void *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!record)
		return 0;
	*record = 1;
	bpf_ringbuf_submit(record, 0);
	*(volatile __u64 *)record = 2;
	return 0;
}

SEC("?raw_tp")
__description("a ring buffer record submitted twice")
__failure
__fault(REFERENCE_STATE)
int submit_twice(void *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!record)
		return 0;
	*record = 1;
	bpf_ringbuf_submit(record, 0);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("?raw_tp")
__description("behind the end of a ring buffer record")
__failure __msg("invalid access to memory, mem_size=8 off=8 size=8")
__fault(OUT_OF_BOUNDS)
int past_record(void *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!record)
		return 0;
	*(volatile __u64 *)(record + 1) = 1;
	bpf_ringbuf_discard(record, 0);
	return 0;
}

SEC("?raw_tp")
__description("a ring buffer record neither submitted nor discarded")
__failure __msg("Unreleased reference")
__leak("reference")
int record_kept(void *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);

	if (record)
		*record = 1;
	return 0;
}

SEC("?raw_tp")
__description("a store to a constant")
__failure __msg("write into map forbidden")
__fault(READ_ONLY)
int write_constant(void *ctx)
{
	*(volatile __u64 *)&constant = 6;
	return 0;
}

SEC("?raw_tp")
__description("the address that a NULL pointer in a map value holds, followed")
__failure __msg("invalid mem access 'scalar'")
__fault(NULL_DEREF)
int null_pointer(void *ctx)
{
	__u32 key = 0;
	struct block *block = bpf_map_lookup_elem(&blocks, &key);

	if (!block)
		return 0;
	return *(volatile __u64 *)block->words[0];
}

SEC("?raw_tp")
__description("a number taken for an address")
__failure __msg("invalid mem access 'scalar'")
__fault(OUT_OF_BOUNDS)
int wild_pointer(void *ctx)
{
	return *(volatile __u64 *)(0xffff123400000000 + four);
}

SEC("?raw_tp")
__description("below the stack")
__failure __msg("invalid write to stack R1 off=-520 size=8")
__fault(OUT_OF_BOUNDS)
__naked int below_stack(void)
{
	asm volatile("r1 = r10;"
		     "r1 += -520;"
		     "r0 = 0;"
		     "*(u64 *)(r1 + 0) = r0;"
		     "exit;" ::: __clobber_all);
}

SEC("?raw_tp")
__description("above the stack")
__failure __msg("invalid write to stack R10 off=0 size=8")
__fault(OUT_OF_BOUNDS)
__naked int above_stack(void)
{
	asm volatile("r0 = 0;"
		     "*(u64 *)(r10 + 0) = r0;"
		     "exit;" ::: __clobber_all);
}

SEC("?raw_tp")
__description("a stack slot read that nobody wrote: the kernel lets root do it")
__success
__finding(UNINITIALISED)
__naked int unwritten_stack(void)
{
	asm volatile("r0 = *(u64 *)(r10 - 8);"
		     "r0 = 0;"
		     "exit;" ::: __clobber_all);
}

SEC("?raw_tp")
__description("a register read that nobody wrote")
__failure __msg("R2 !read_ok")
__fault(UNINITIALISED)
__naked int unwritten_register(void)
{
	asm volatile("r0 = r2;"
		     "exit;" ::: __clobber_all);
}

SEC("?raw_tp")
__description("a register that a call took away")
__failure __msg("R1 !read_ok")
__fault(UNINITIALISED)
__naked int register_after_call(void)
{
	asm volatile("r1 = 1;"
		     "call %[bpf_get_prandom_u32];"
		     "r0 = r1;"
		     "exit;" ::__imm(bpf_get_prandom_u32)
		     : __clobber_all);
}

SEC("?raw_tp")
__description("an atomic on an address that is not a multiple of its size")
__failure __msg("misaligned value access")
__fault(MISALIGNED_ATOMIC)
int misaligned_atomic(void *ctx)
{
	__u32 key = 0;
	struct block *block = bpf_map_lookup_elem(&blocks, &key);

	if (!block)
		return 0;
	__sync_fetch_and_add((__u64 *)((char *)block + 4), 1);
	return 0;
}

SEC("?raw_tp")
__description("a kernel structure written")
__failure __msg("only read is supported")
__fault(READ_ONLY)
int write_task(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();

	*(volatile int *)&task->pid = 1;
	return 0;
}

SEC("?raw_tp")
__description("a helper told that a buffer is longer than it is")
__failure __msg("invalid write to stack")
__fault(OUT_OF_BOUNDS)
int helper_past_buffer(void *ctx)
{
	char comm[16];

	bpf_get_current_comm(comm, four + 1024);
	return comm[0];
}
