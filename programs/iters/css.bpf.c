/* bpf_iter_css: cgroups below and above one, inside an RCU read section. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ROOT_CGROUP_ID 1

/* Counted in memory: a count in a register would keep the verifier at it, pass by pass. */
int seen, level, wrong;

SEC("syscall")
__description("parents first: the root comes first and everything else is below it")
__success __retval(1)
int css_parents_first(void *ctx)
{
	struct cgroup *root = bpf_cgroup_from_id(ROOT_CGROUP_ID);
	struct cgroup_subsys_state *pos;

	if (!root)
		return -1;
	seen = wrong = 0;
	bpf_rcu_read_lock();
	bpf_for_each(css, pos, &root->self, BPF_CGROUP_ITER_DESCENDANTS_PRE) {
		if (!pos->parent != !seen)
			wrong++;
		seen++;
	}
	bpf_rcu_read_unlock();
	bpf_cgroup_release(root);
	return seen >= 1 && !wrong;
}

SEC("syscall")
__description("parents last: the same number of cgroups, the root at the end")
__success __retval(1)
int css_parents_last(void *ctx)
{
	struct cgroup *root = bpf_cgroup_from_id(ROOT_CGROUP_ID);
	struct cgroup_subsys_state *pos;
	int last = 0;

	if (!root)
		return -1;
	seen = 0;
	bpf_rcu_read_lock();
	bpf_for_each(css, pos, &root->self, BPF_CGROUP_ITER_DESCENDANTS_PRE)
		seen++;
	bpf_for_each(css, pos, &root->self, BPF_CGROUP_ITER_DESCENDANTS_POST) {
		last = !pos->parent;
		seen--;
	}
	bpf_rcu_read_unlock();
	bpf_cgroup_release(root);
	return last && seen == 0;
}

SEC("syscall")
__description("upwards from the current task's cgroup: as many as its level says, and the root")
__success __retval(1)
int css_ancestors(void *ctx)
{
	struct cgroup *mine = bpf_cgroup_from_id(bpf_get_current_cgroup_id());
	struct cgroup_subsys_state *pos;

	if (!mine)
		return -1;
	seen = 0;
	level = mine->level;
	bpf_rcu_read_lock();
	bpf_for_each(css, pos, &mine->self, BPF_CGROUP_ITER_ANCESTORS_UP)
		seen++;
	bpf_rcu_read_unlock();
	bpf_cgroup_release(mine);
	return seen == level + 1;
}

SEC("syscall")
__description("after NULL it begins anew: upwards from the root is root, NULL, root")
__success __retval(1)
int css_wraps(void *ctx)
{
	struct cgroup *root = bpf_cgroup_from_id(ROOT_CGROUP_ID);
	struct cgroup_subsys_state *a, *b, *c;
	struct bpf_iter_css it;
	int ok;

	if (!root)
		return -1;
	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, &root->self, BPF_CGROUP_ITER_ANCESTORS_UP);
	a = bpf_iter_css_next(&it);
	b = bpf_iter_css_next(&it);
	c = bpf_iter_css_next(&it);
	ok = a && !b && c;
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	bpf_cgroup_release(root);
	return ok;
}

static int result_of_new(__u32 flags)
{
	struct cgroup *root = bpf_cgroup_from_id(ROOT_CGROUP_ID);
	struct bpf_iter_css it;
	int err;

	if (!root)
		return -1;
	bpf_rcu_read_lock();
	err = bpf_iter_css_new(&it, &root->self, flags);
	if (err && bpf_iter_css_next(&it))
		err = 1000;
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	bpf_cgroup_release(root);
	return err;
}

SEC("syscall")
__description("one cgroup alone is no walk: -EINVAL")
__success __retval(-22)
int css_self_only(void *ctx)
{
	return result_of_new(BPF_CGROUP_ITER_SELF_ONLY);
}

SEC("syscall")
__description("an order that does not exist: -EINVAL")
__success __retval(-22)
int css_bad_order(void *ctx)
{
	return result_of_new(7);
}
