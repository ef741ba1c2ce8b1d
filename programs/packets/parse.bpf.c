/* Packets: LD_ABS in socket filters, direct access in XDP and tc. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("socket")
__description("the packet's length, without its Ethernet header")
__success __retval(50)
int filter_length(struct __sk_buff *skb)
{
	return skb->len;
}

SEC("socket")
__description("a byte behind the end ends the program with 0")
__success __retval(0)
__naked int filter_past_end(void)
{
	asm volatile("r6 = r1;"
		     "r0 = *(u8 *)skb[1000];"
		     "r0 = 1;"
		     "exit;" ::: __clobber_all);
}

SEC("socket")
__description("bytes of a packet of zeros")
__success __retval(1)
__naked int filter_load(void)
{
	asm volatile("r6 = r1;"
		     "r0 = *(u32 *)skb[0];"
		     "r7 = r0;"
		     "r2 = 4;"
		     "r0 = *(u16 *)skb[r2];"
		     "r0 += r7;"
		     "r0 += 1;"
		     "exit;" ::: __clobber_all);
}

SEC("socket")
__description("control bytes are for the program")
__success __retval(7)
int filter_cb(struct __sk_buff *skb)
{
	skb->cb[1] = skb->cb[0] + 7;
	return skb->cb[1];
}

SEC("xdp")
__description("64 bytes between data and data_end")
__success __retval(64)
int xdp_length(struct xdp_md *xdp)
{
	void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;

	return end - data;
}

SEC("xdp")
__description("a packet of zeros is no IPv4: passed on")
__success __retval(2)
int xdp_ethertype(struct xdp_md *xdp)
{
	__u8 *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;

	if (data + 14 > end)
		return XDP_ABORTED;
	if (data[12] == 8 && data[13] == 0)
		return XDP_DROP;
	return XDP_PASS;
}

SEC("xdp")
__description("bytes written are read back")
__success __retval(300)
int xdp_write(struct xdp_md *xdp)
{
	__u8 *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
	volatile __u8 *at = data;

	if (data + 64 > end)
		return XDP_ABORTED;
	at[0] = 100;
	at[63] = 200;
	return at[0] + at[1] + at[63];
}

SEC("?xdp")
__description("a byte behind the packet")
__failure __msg("invalid access to packet")
__fault(OUT_OF_BOUNDS)
int xdp_past_end(struct xdp_md *xdp)
{
	volatile __u8 *data = (void *)(long)xdp->data;

	return data[64];
}

SEC("tc")
__description("tc sees the Ethernet header")
__success __retval(64)
int tc_length(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	return skb->len == end - data ? skb->len : -1;
}

SEC("tc")
__description("mark and priority are written and read back")
__success __retval(12)
int tc_mark(struct __sk_buff *skb)
{
	skb->mark += 5;
	skb->priority = 7;
	return skb->mark + skb->priority;
}

SEC("?socket")
__description("a field that socket filters cannot see")
__failure __msg("invalid bpf_context access off=76 size=4")
__fault(OUT_OF_BOUNDS)
int filter_data(struct __sk_buff *skb)
{
	return skb->data;
}

SEC("?tc")
__description("a field that programs cannot write")
__failure __msg("invalid bpf_context access off=0 size=4")
__fault(READ_ONLY)
int tc_write_length(struct __sk_buff *skb)
{
	skb->len = 1;
	return 0;
}
