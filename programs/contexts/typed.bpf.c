/* What programs of each type get in r1. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("raw_tp")
__description("a raw tracepoint's arguments are 64-bit words, here zeros")
__success __retval(0)
int raw_args(struct bpf_raw_tracepoint_args *ctx)
{
	return ctx->args[0] + ctx->args[11];
}

SEC("raw_tp/sys_enter")
__description("the same, unpacked")
__success __retval(0)
int BPF_PROG(raw_unpacked, struct pt_regs *regs, long number)
{
	return regs ? -1 : number;
}

SEC("kprobe/do_nothing")
__description("registers at a function's entry, here zeros")
__success __retval(0)
int BPF_KPROBE(kprobe_args, int first, void *second)
{
	return first + (long)second;
}

SEC("kretprobe/do_nothing")
__description("what a function returned, here 0")
__success __retval(1)
int BPF_KRETPROBE(kretprobe_value, long ret)
{
	return ret + 1;
}

SEC("fentry/bpf_task_acquire")
__description("a traced function's arguments by type: the current task")
__success __retval(1)
int BPF_PROG(fentry_task, struct task_struct *task)
{
	return task->pid == (int)bpf_get_current_pid_tgid();
}

SEC("fexit/bpf_task_acquire")
__description("its arguments and what it returned, the same task")
__success __retval(1)
int BPF_PROG(fexit_task, struct task_struct *task, struct task_struct *ret)
{
	return task->tgid == bpf_get_current_pid_tgid() >> 32 && ret == task;
}

SEC("tp/sched/sched_switch")
__description("a trace record, here of zeros")
__success __retval(5)
int record(struct trace_event_raw_sched_switch *ctx)
{
	return ctx->prev_pid + ctx->next_prio + 5;
}

SEC("perf_event")
__description("a sampled event, here of zeros")
__success __retval(0)
int event(struct bpf_perf_event_data *ctx)
{
	return ctx->sample_period + ctx->addr + ctx->regs.ip;
}

struct request {
	__u32 left;
	__u32 right;
	__u64 sum;
};

/* No tags: it wants a request.  tests/programs/test_contexts.py gives it one. */
SEC("syscall")
int answer(struct request *request)
{
	request->sum = (__u64)request->left + request->right;
	return request->sum > 0xffffffff;
}
