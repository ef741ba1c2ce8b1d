/* bpf_iter_dmabuf: every DMA buffer, each held until the next one; it may sleep. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Counted in memory: a count in a register would keep the verifier at it, pass by pass. */
int first, second, unnamed;
unsigned long bytes;

SEC("syscall")
__description("twice the same number of buffers")
__success __retval(1)
__kernel(6.18.44)
int dmabuf_count(void *ctx)
{
	struct dma_buf *buf;

	first = second = unnamed = 0;
	bytes = 0;
	bpf_for_each(dmabuf, buf) {
		first++;
		bytes += buf->size;
		if (!buf->exp_name)
			unnamed++;
	}
	bpf_for_each(dmabuf, buf)
		second++;
	return first == second && !unnamed;
}

SEC("syscall")
__description("after NULL it begins anew")
__success __retval(1)
__kernel(6.18.44)
int dmabuf_wraps(void *ctx)
{
	struct bpf_iter_dmabuf it;
	int empty, again;

	bpf_iter_dmabuf_new(&it);
	empty = !bpf_iter_dmabuf_next(&it);
	if (!empty) {
		while (bpf_iter_dmabuf_next(&it))
			;
	}
	again = !!bpf_iter_dmabuf_next(&it);
	bpf_iter_dmabuf_destroy(&it);
	return again != empty;
}

SEC("syscall")
__description("left before the first call")
__success __retval(0)
__kernel(6.18.44)
int dmabuf_unused(void *ctx)
{
	struct bpf_iter_dmabuf it;
	int err = bpf_iter_dmabuf_new(&it);

	bpf_iter_dmabuf_destroy(&it);
	return err;
}
