/* bpf_iter_css_task: the tasks of a cgroup, each held until the next one. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Counted in memory: a count in a register would keep the verifier at it, pass by pass. */
int tasks, procs, found;

SEC("syscall")
__description("the current task is among those of its cgroup, once")
__success __retval(1)
int css_task_finds_current(void *ctx)
{
	struct cgroup *mine = bpf_cgroup_from_id(bpf_get_current_cgroup_id());
	__u32 pid = bpf_get_current_pid_tgid();
	struct task_struct *task;

	if (!mine)
		return -1;
	found = 0;
	bpf_for_each(css_task, task, &mine->self, 0) {
		if (task->pid == pid)
			found++;
	}
	bpf_cgroup_release(mine);
	return found;
}

SEC("syscall")
__description("processes are leaders and not more than there are tasks")
__success __retval(1)
int css_task_procs(void *ctx)
{
	struct cgroup *mine = bpf_cgroup_from_id(bpf_get_current_cgroup_id());
	struct task_struct *task;

	if (!mine)
		return -1;
	tasks = procs = found = 0;
	bpf_for_each(css_task, task, &mine->self, 0)
		tasks++;
	bpf_for_each(css_task, task, &mine->self, CSS_TASK_ITER_PROCS) {
		if (task->pid != task->tgid)
			found++;
		procs++;
	}
	bpf_cgroup_release(mine);
	return procs <= tasks && found == 0;
}

SEC("syscall")
__description("NULL for ever after the end")
__success __retval(1)
int css_task_exhausted(void *ctx)
{
	struct cgroup *mine = bpf_cgroup_from_id(bpf_get_current_cgroup_id());
	struct bpf_iter_css_task it;
	int ok;

	if (!mine)
		return -1;
	bpf_iter_css_task_new(&it, &mine->self, 0);
	while (bpf_iter_css_task_next(&it))
		;
	ok = !bpf_iter_css_task_next(&it) && !bpf_iter_css_task_next(&it);
	bpf_iter_css_task_destroy(&it);
	bpf_cgroup_release(mine);
	return ok;
}

static int result_of_new(__u32 flags)
{
	struct cgroup *root = bpf_cgroup_from_id(1);
	struct bpf_iter_css_task it;
	int err;

	if (!root)
		return -1;
	err = bpf_iter_css_task_new(&it, &root->self, flags);
	if (err && bpf_iter_css_task_next(&it))
		err = 1000;
	bpf_iter_css_task_destroy(&it);
	bpf_cgroup_release(root);
	return err;
}

SEC("syscall")
__description("threaded tasks without processes: -EINVAL")
__success __retval(-22)
int css_task_threaded_alone(void *ctx)
{
	return result_of_new(CSS_TASK_ITER_THREADED);
}

SEC("syscall")
__description("the kernel's own flag is not for programs: -EINVAL")
__success __retval(-22)
int css_task_internal_flag(void *ctx)
{
	return result_of_new(CSS_TASK_ITER_SKIPPED);
}

SEC("syscall")
__description("processes with those of threaded cgroups")
__success __retval(0)
int css_task_threaded(void *ctx)
{
	return result_of_new(CSS_TASK_ITER_PROCS | CSS_TASK_ITER_THREADED);
}
