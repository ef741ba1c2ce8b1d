/* BPF_MAP_TYPE_RINGBUF: records of any size, in order. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} small SEC(".maps");

SEC("syscall")
__description("reserved, filled, submitted")
__success __retval(24)
int submit(void *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, 12, 0);
	__u64 before = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);

	if (!record)
		return -1;
	record[0] = 1;
	((__u32 *)record)[2] = 2;
	bpf_ringbuf_submit(record, 0);
	/* 12 bytes and the 8-byte header, in multiples of 8 */
	return before;
}

SEC("syscall")
__description("reserved and thrown away")
__success __retval(0)
int discard(void *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!record)
		return -1;
	bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("syscall")
__description("output copies a record in one go")
__success __retval(0)
int output(void *ctx)
{
	__u32 record = 0xabcd;

	return bpf_ringbuf_output(&ring, &record, sizeof(record), 0);
}

SEC("syscall")
__description("the ring's size")
__success __retval(4096)
int query_size(void *ctx)
{
	return bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE);
}

SEC("syscall")
__description("a query that there is not yields 0")
__success __retval(0)
int query_unknown(void *ctx)
{
	return bpf_ringbuf_query(&ring, 99);
}

SEC("syscall")
__description("flags that there are not: nothing is reserved")
__success __retval(1)
int reserve_flags(void *ctx)
{
	void *record = bpf_ringbuf_reserve(&ring, 8, 1);

	if (!record)
		return 1;
	bpf_ringbuf_discard(record, 0);
	return 0;
}

SEC("syscall")
__description("a record longer than the ring: nothing is reserved")
__success __retval(1)
int reserve_too_much(void *ctx)
{
	void *record = bpf_ringbuf_reserve(&ring, 5000, 0);

	if (!record)
		return 1;
	bpf_ringbuf_discard(record, 0);
	return 0;
}

SEC("syscall")
__description("the ring holds three records of 1024 bytes and their headers, not four")
__success __retval(3)
int fills_up(void *ctx)
{
	int i, sent = 0;

	bpf_for(i, 0, 8) {
		void *record = bpf_ringbuf_reserve(&small, 1024, 0);

		if (!record)
			break;
		__builtin_memset(record, 0, 8);
		bpf_ringbuf_submit(record, 0);
		sent++;
	}
	return sent;
}
