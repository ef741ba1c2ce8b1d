/* Addresses of kernel functions. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

extern void bpf_iter_of_old(void) __ksym __weak;

SEC("raw_tp")
__description("a function that is there has an address, one that is not is zero")
__success __retval(2)
int address(void *ctx)
{
	int found = 0;

	if (bpf_iter_of_old)
		found |= 1;
	if (bpf_iter_num_next)
		found |= 2;
	return found;
}

SEC("raw_tp")
__description("a function is read-only memory of no size")
__failure __msg("invalid access to memory, mem_size=0 off=0 size=4")
__fault(OUT_OF_BOUNDS)
int read(void *ctx)
{
	return *(volatile int *)&bpf_iter_num_new;
}
