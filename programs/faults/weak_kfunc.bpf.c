/* A kernel function that no kernel has, declared weak: asked for before it is called. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

extern int bpf_no_such_kfunc(int x) __weak __ksym;

SEC("raw_tp")
__description("the program goes another way when the kfunc is not there")
__success __retval(7)
int asks_first(void *ctx)
{
	if (bpf_ksym_exists(bpf_no_such_kfunc))
		return bpf_no_such_kfunc(1);
	return 7;
}

SEC("?raw_tp")
__description("the program calls it all the same")
__failure __msg("kfunc 'bpf_no_such_kfunc' is referenced but wasn't resolved")
__fault(BAD_CALL)
int calls_anyway(void *ctx)
{
	return bpf_no_such_kfunc(1);
}
