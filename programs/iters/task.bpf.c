/* bpf_iter_task: processes and threads, inside an RCU read section. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Counted in memory: a count in a register would keep the verifier at it, pass by pass. */
int procs, threads, others;

SEC("raw_tp")
__description("the first of all processes is the idle task, pid 0")
__success __retval(1)
int task_first_is_idle(void *ctx)
{
	struct task_struct *task;

	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_PROCS)
		return task->pid == 0 && task->tgid == 0;
	return -1;
}

SEC("raw_tp")
__description("every process is the leader of its thread group")
__success __retval(1)
int task_procs_are_leaders(void *ctx)
{
	struct task_struct *task;
	int all = 1;

	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_PROCS) {
		if (task->pid != task->tgid)
			all = 0;
	}
	return all;
}

SEC("raw_tp")
__description("the current process is among them, once")
__success __retval(1)
int task_finds_current(void *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct task_struct *task;
	int found = 0;

	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_PROCS) {
		if (task->pid == tgid)
			found++;
	}
	return found;
}

SEC("raw_tp")
__description("there are at least as many threads as processes")
__success __retval(1)
int task_threads_and_procs(void *ctx)
{
	struct task_struct *task;

	procs = threads = 0;
	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_PROCS)
		procs++;
	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_THREADS)
		threads++;
	return threads >= procs && procs > 0;
}

SEC("raw_tp")
__description("the threads of the current process share its tgid")
__success __retval(1)
int task_own_threads(void *ctx)
{
	struct task_struct *me = bpf_get_current_task_btf(), *task;

	threads = others = 0;
	bpf_for_each(task, task, me, BPF_TASK_ITER_PROC_THREADS) {
		if (task->tgid == me->tgid)
			threads++;
		else
			others++;
	}
	return threads > 0 && others == 0;
}

SEC("raw_tp")
__description("left early")
__success __retval(2)
int task_break(void *ctx)
{
	struct task_struct *task;
	int seen = 0;

	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_THREADS) {
		if (++seen == 2)
			break;
	}
	return seen;
}

SEC("raw_tp")
__description("one walk inside another, both left early")
__success __retval(4)
int task_nested(void *ctx)
{
	struct task_struct *outer, *inner;
	int pairs = 0, i = 0;

	bpf_for_each(task, outer, NULL, BPF_TASK_ITER_ALL_PROCS) {
		int j = 0;

		bpf_for_each(task, inner, NULL, BPF_TASK_ITER_ALL_PROCS) {
			pairs++;
			if (++j == 2)
				break;
		}
		if (++i == 2)
			break;
	}
	return pairs;
}

static int result_of_new(struct task_struct *task, __u32 flags)
{
	struct bpf_iter_task it;
	int err = bpf_iter_task_new(&it, task, flags);

	if (err && bpf_iter_task_next(&it))
		err = 1000;
	bpf_iter_task_destroy(&it);
	return err;
}

SEC("raw_tp")
__description("flags above PROC_THREADS: -EINVAL")
__success __retval(-22)
int task_bad_flags(void *ctx)
{
	return result_of_new(NULL, 3);
}

SEC("raw_tp")
__description("flags are not a bit mask: 4 is refused too")
__success __retval(-22)
int task_bit_flags(void *ctx)
{
	return result_of_new(NULL, 4);
}

SEC("raw_tp")
__description("threads of no task: -EINVAL")
__success __retval(-22)
int task_threads_of_null(void *ctx)
{
	return result_of_new(NULL, BPF_TASK_ITER_PROC_THREADS);
}

SEC("syscall")
__description("a sleepable program needs an RCU read section of its own")
__success __retval(1)
int task_in_rcu_section(void *ctx)
{
	struct task_struct *task;
	int found = 0;

	bpf_rcu_read_lock();
	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_PROCS) {
		found = 1;
		break;
	}
	bpf_rcu_read_unlock();
	return found;
}

SEC("syscall")
__description("a process kept across the loop with a reference")
__success __retval(1)
int task_kept(void *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct task_struct *task, *kept = NULL;
	int same = -1;

	bpf_rcu_read_lock();
	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_PROCS) {
		if (task->pid != tgid)
			continue;
		kept = bpf_task_acquire(task);
		break;
	}
	bpf_rcu_read_unlock();
	if (kept) {
		same = kept->tgid == tgid;
		bpf_task_release(kept);
	}
	return same;
}
