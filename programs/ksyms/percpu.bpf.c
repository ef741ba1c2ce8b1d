/* Kernel variables that every kernel has: per-CPU ones by type, others by address. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

extern const struct rq runqueues __ksym;
extern const int bpf_prog_active __ksym;
extern const void init_task __ksym;
extern const void nr_cpu_ids __ksym;
extern const struct rq runqueues_of_old __ksym __weak;
extern const void gone __ksym __weak;

SEC("raw_tp")
__description("the run queue of each CPU knows its number; there is none behind the last CPU")
__success __retval(0)
int each_cpu(void *ctx)
{
	unsigned int cpu, count = 0;
	struct rq *rq;

	bpf_probe_read_kernel(&count, sizeof(count), &nr_cpu_ids);
	bpf_for(cpu, 0, 8192) {
		rq = bpf_per_cpu_ptr(&runqueues, cpu);
		if (!rq)
			return cpu == count ? 0 : 1;
		if (rq->cpu != cpu)
			return 2;
	}
	return 3;
}

SEC("raw_tp")
__description("this CPU's run queue is the one that bpf_per_cpu_ptr finds for it")
__success __retval(1)
int this_cpu(void *ctx)
{
	struct rq *here = bpf_this_cpu_ptr(&runqueues);
	struct rq *found = bpf_per_cpu_ptr(&runqueues, bpf_get_smp_processor_id());

	return found == here && found->cpu == here->cpu;
}

SEC("raw_tp")
__description("an int for each CPU")
__success __retval(1)
int scalar(void *ctx)
{
	int *here = bpf_this_cpu_ptr(&bpf_prog_active);
	int *first = bpf_per_cpu_ptr(&bpf_prog_active, 0);

	return first && *here >= 0 && *first >= 0;
}

SEC("raw_tp")
__description("the idle task of a run queue is the idle task")
__success __retval(1)
int idle(void *ctx)
{
	struct rq *rq = bpf_per_cpu_ptr(&runqueues, 0);

	return rq && rq->idle == (void *)&init_task && rq->idle->pid == 0;
}

SEC("raw_tp")
__description("weak symbols that no kernel has are zero, and branches on them are decided")
__success __retval(3)
int weak(void *ctx)
{
	int found = 0;

	if (!&gone)
		found |= 1;
	if (!&runqueues_of_old)
		found |= 2;
	return found;
}

SEC("raw_tp")
__description("a CPU that may not be there has to be tested for")
__failure __msg("R0 invalid mem access 'ptr_or_null_'")
__fault(NULL_DEREF)
int untested(void *ctx)
{
	int *active = bpf_per_cpu_ptr(&bpf_prog_active, 1 << 20);

	return *active;
}

SEC("raw_tp")
__description("the address of a per-CPU variable is that of no CPU")
__failure __msg("R1 is ptr_rq access percpu memory")
__fault(OUT_OF_BOUNDS)
int direct(void *ctx)
{
	return *(volatile int *)&runqueues.cpu;
}

SEC("raw_tp")
__description("a variable is not written, nor is a struct behind a pointer")
__failure __msg("only read is supported")
__fault(READ_ONLY)
int write_struct(void *ctx)
{
	struct rq *rq = bpf_this_cpu_ptr(&runqueues);

	rq->cpu = 7;
	return 0;
}

SEC("raw_tp")
__description("nor an int")
__failure __msg("cannot write into rdonly_mem")
__fault(READ_ONLY)
int write_scalar(void *ctx)
{
	int *active = bpf_this_cpu_ptr(&bpf_prog_active);

	*active = 7;
	return 0;
}

SEC("raw_tp")
__description("an int has four bytes")
__failure __msg("invalid access to memory, mem_size=4 off=4 size=4")
__fault(OUT_OF_BOUNDS)
int past_scalar(void *ctx)
{
	int *active = bpf_this_cpu_ptr(&bpf_prog_active);

	return active[1];
}

SEC("raw_tp")
__description("only per-CPU variables have a copy for each CPU")
__failure __msg("expected=percpu_ptr_")
__fault(BAD_CALL)
int not_percpu(void *ctx)
{
	int *found = bpf_this_cpu_ptr(&init_task);

	return *found;
}
