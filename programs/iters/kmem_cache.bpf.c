/* bpf_iter_kmem_cache: every slab cache, each held until the next one; it may sleep. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Counted in memory: a count in a register would keep the verifier at it, pass by pass. */
int caches, bad, boot;

SEC("syscall")
__description("objects fit their slots, and every cache has a user")
__success __retval(1)
__kernel(6.18.44)
int kmem_cache_sizes(void *ctx)
{
	struct kmem_cache *s;

	caches = bad = 0;
	bpf_for_each(kmem_cache, s) {
		caches++;
		if (s->object_size > s->size || s->size == 0 || s->refcount == 0)
			bad++;
	}
	return caches > 0 && bad == 0;
}

SEC("syscall")
__description("the caches that slab was booted with have a count below zero")
__success __retval(1)
__kernel(6.18.44)
int kmem_cache_boot(void *ctx)
{
	struct kmem_cache *s;

	boot = 0;
	bpf_for_each(kmem_cache, s) {
		if (s->refcount < 0)
			boot++;
	}
	return boot >= 1;
}

SEC("syscall")
__description("NULL for ever after the end")
__success __retval(1)
__kernel(6.18.44)
int kmem_cache_exhausted(void *ctx)
{
	struct bpf_iter_kmem_cache it;
	int ok;

	bpf_iter_kmem_cache_new(&it);
	while (bpf_iter_kmem_cache_next(&it))
		;
	ok = !bpf_iter_kmem_cache_next(&it) && !bpf_iter_kmem_cache_next(&it);
	bpf_iter_kmem_cache_destroy(&it);
	return ok;
}

SEC("syscall")
__description("left early: the reference goes with the loop")
__success __retval(2)
__kernel(6.18.44)
int kmem_cache_break(void *ctx)
{
	struct kmem_cache *s;
	int seen = 0;

	bpf_for_each(kmem_cache, s) {
		if (++seen == 2)
			break;
	}
	return seen;
}

SEC("?syscall")
__description("it may sleep: not inside an RCU read section")
__failure __msg("kernel func bpf_iter_kmem_cache_new is sleepable within rcu_read_lock region")
__fault(CONTEXT)
__kernel(6.18.44)
int kmem_cache_in_rcu_section(void *ctx)
{
	struct kmem_cache *s;
	int seen = 0;

	bpf_rcu_read_lock();
	bpf_for_each(kmem_cache, s) {
		seen++;
		break;
	}
	bpf_rcu_read_unlock();
	return seen;
}
