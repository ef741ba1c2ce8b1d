/* A kernel function that no kernel has, declared so that the object cannot do without it. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

extern int bpf_no_such_kfunc(int x) __ksym;

SEC("raw_tp")
__description("nobody has this kfunc")
__failure __msg("bpf_no_such_kfunc")
int needs_kfunc(void *ctx)
{
	return bpf_no_such_kfunc(1);
}
