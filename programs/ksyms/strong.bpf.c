/* Strong externs that this kernel lacks: the object cannot be loaded. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

extern const int no_such_variable __ksym;
extern const void no_such_symbol __ksym;
extern const long runqueues __ksym;
extern const struct rq bpf_prog_active __ksym __weak;

SEC("raw_tp")
__description("typed")
int typed(void *ctx)
{
	return no_such_variable;
}

SEC("raw_tp")
__description("without a type")
int typeless(void *ctx)
{
	int value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), &no_such_symbol);
	return value;
}

SEC("raw_tp")
__description("of another type")
int mismatch(void *ctx)
{
	return *(volatile long *)&runqueues;
}

SEC("raw_tp")
__description("of another type, and weak")
int weak_mismatch(void *ctx)
{
	return &bpf_prog_active != 0;
}
