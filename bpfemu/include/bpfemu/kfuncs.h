#ifndef BPFEMU_KFUNCS_H
#define BPFEMU_KFUNCS_H

/*
 * Kernel functions that programs call by name.  Weak: an object loads on a kernel without them,
 * and bpf_ksym_exists() tells.
 *
 * A kernel's own vmlinux.h may declare them too; define BPF_NO_KFUNC_PROTOTYPES to keep these
 * away.
 */
#define bpf_ksym_exists(sym)                                                             \
	({                                                                               \
		_Static_assert(!__builtin_constant_p(!!sym), #sym " must be __weak");    \
		!!sym;                                                                   \
	})

#ifndef BPF_NO_KFUNC_PROTOTYPES

struct bpf_iter_num;
struct bpf_iter_bits;
struct bpf_iter_task;
struct bpf_iter_task_vma;
struct bpf_iter_css;
struct bpf_iter_css_task;
struct bpf_iter_kmem_cache;
struct bpf_iter_dmabuf;
struct bpf_iter_scx_dsq;
struct cgroup;
struct cgroup_subsys_state;
struct dma_buf;
struct kmem_cache;
struct task_struct;
struct vm_area_struct;

/* Numbers from start up to end, end excluded. */
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;

/* The positions of the set bits in nr_words 64-bit words. */
extern int bpf_iter_bits_new(struct bpf_iter_bits *it, const unsigned long long *unsafe_ptr__ign,
			     unsigned int nr_words) __weak __ksym;
extern int *bpf_iter_bits_next(struct bpf_iter_bits *it) __weak __ksym;
extern void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __weak __ksym;

/* Tasks: BPF_TASK_ITER_ALL_PROCS, _ALL_THREADS, _PROC_THREADS. */
extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task__nullable,
			     unsigned int flags) __weak __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __weak __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __weak __ksym;

/* The VMAs of a task from addr up. */
extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task,
				 unsigned long long addr) __weak __ksym;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) __weak __ksym;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) __weak __ksym;

/* Cgroups: BPF_CGROUP_ITER_DESCENDANTS_PRE, _DESCENDANTS_POST, _ANCESTORS_UP. */
extern int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start,
			    unsigned int flags) __weak __ksym;
extern struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __weak __ksym;
extern void bpf_iter_css_destroy(struct bpf_iter_css *it) __weak __ksym;

/* The tasks of a cgroup: 0, CSS_TASK_ITER_PROCS, or that with CSS_TASK_ITER_THREADED. */
extern int bpf_iter_css_task_new(struct bpf_iter_css_task *it, struct cgroup_subsys_state *css,
				 unsigned int flags) __weak __ksym;
extern struct task_struct *bpf_iter_css_task_next(struct bpf_iter_css_task *it) __weak __ksym;
extern void bpf_iter_css_task_destroy(struct bpf_iter_css_task *it) __weak __ksym;

/* Slab caches and DMA buffers; these may sleep. */
extern int bpf_iter_kmem_cache_new(struct bpf_iter_kmem_cache *it) __weak __ksym;
extern struct kmem_cache *bpf_iter_kmem_cache_next(struct bpf_iter_kmem_cache *it) __weak __ksym;
extern void bpf_iter_kmem_cache_destroy(struct bpf_iter_kmem_cache *it) __weak __ksym;
extern int bpf_iter_dmabuf_new(struct bpf_iter_dmabuf *it) __weak __ksym;
extern struct dma_buf *bpf_iter_dmabuf_next(struct bpf_iter_dmabuf *it) __weak __ksym;
extern void bpf_iter_dmabuf_destroy(struct bpf_iter_dmabuf *it) __weak __ksym;

/* The tasks in a dispatch queue of the sched_ext scheduler that is loaded. */
extern int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, unsigned long long dsq_id,
				unsigned long long flags) __weak __ksym;
extern struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it) __weak __ksym;
extern void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it) __weak __ksym;

extern struct cgroup *bpf_cgroup_from_id(unsigned long long cgid) __weak __ksym;
extern struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp) __weak __ksym;
extern struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level) __weak __ksym;
extern void bpf_cgroup_release(struct cgroup *cgrp) __weak __ksym;

extern struct task_struct *bpf_task_from_pid(int pid) __weak __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __weak __ksym;
extern void bpf_task_release(struct task_struct *p) __weak __ksym;

extern void bpf_rcu_read_lock(void) __weak __ksym;
extern void bpf_rcu_read_unlock(void) __weak __ksym;
extern void bpf_preempt_disable(void) __weak __ksym;
extern void bpf_preempt_enable(void) __weak __ksym;
extern void bpf_local_irq_save(unsigned long *flags__irq_flag) __weak __ksym;
extern void bpf_local_irq_restore(unsigned long *flags__irq_flag) __weak __ksym;

/* The same address with another type; no check, faulting loads read as zero. */
extern void *bpf_rdonly_cast(const void *obj__ign, unsigned int btf_id__k) __weak __ksym;
/* The kernel's structure behind a program's context. */
extern void *bpf_cast_to_kern_ctx(void *obj) __weak __ksym;

#endif
#endif
