/* bpf_iter_scx_dsq: the tasks in a dispatch queue, when no sched_ext scheduler is loaded. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "GPL";

const volatile __u64 dsq_id = 1, dsq_flags;

SEC("syscall")
__description("no scheduler is loaded: -ENODEV, nothing comes, and destroy does nothing")
__success __retval(-19)
__kernel(6.18.44)
int scx_dsq_without_scheduler(void *ctx)
{
	struct bpf_iter_scx_dsq it;
	int err;

	bpf_rcu_read_lock();
	err = bpf_iter_scx_dsq_new(&it, dsq_id, dsq_flags);
	if (err && bpf_iter_scx_dsq_next(&it))
		err = 1000;
	bpf_iter_scx_dsq_destroy(&it);
	bpf_rcu_read_unlock();
	return err;
}

SEC("syscall")
__description("a loop over it is left at once")
__success __retval(0)
__kernel(6.18.44)
int scx_dsq_count(void *ctx)
{
	struct task_struct *task;
	int seen = 0;

	bpf_rcu_read_lock();
	bpf_for_each(scx_dsq, task, dsq_id, dsq_flags)
		seen++;
	bpf_rcu_read_unlock();
	return seen;
}
