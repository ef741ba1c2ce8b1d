#ifndef BPFEMU_ITERS_H
#define BPFEMU_ITERS_H

/*
 * Loops over open-coded iterators.
 *
 *	struct vm_area_struct *vma;
 *	bpf_for_each(task_vma, vma, task, 0) { ... }
 *
 * The loop ends when next returns NULL, with break, with return: whichever way, destroy runs
 * once.  What new returns is ignored: after a failed new, next returns NULL.
 *
 * The iterator is the loop's first variable, with destroy as its cleanup; the second one starts
 * it and is the handle the loop goes on with.  Naming destroy there makes clang describe it in
 * BTF, which a use in the cleanup attribute alone does not.
 */
#define bpf_for_each(type, cur, args...)                                                   \
	for (struct bpf_iter_##type BPFEMU_PASTE(bpfemu_it, __LINE__)                      \
		     __attribute__((aligned(8), cleanup(bpf_iter_##type##_destroy))),      \
	     *BPFEMU_PASTE(bpfemu_at, __LINE__) =                                          \
		     (bpf_iter_##type##_new(&BPFEMU_PASTE(bpfemu_it, __LINE__), ##args),   \
		      (void)bpf_iter_##type##_destroy,                                     \
		      &BPFEMU_PASTE(bpfemu_it, __LINE__));                                 \
	     ((cur) = bpf_iter_##type##_next(BPFEMU_PASTE(bpfemu_at, __LINE__)));)

/*
 * bpf_for(i, start, end): i from start up to end - 1.  The comparison tells the verifier the
 * range that the iterator keeps to.
 */
#define bpf_for(i, start, end)                                                             \
	for (struct bpf_iter_num BPFEMU_PASTE(bpfemu_it, __LINE__)                         \
		     __attribute__((aligned(8), cleanup(bpf_iter_num_destroy))),           \
	     *BPFEMU_PASTE(bpfemu_at, __LINE__) =                                          \
		     (bpf_iter_num_new(&BPFEMU_PASTE(bpfemu_it, __LINE__), (start), (end)), \
		      (void)bpf_iter_num_destroy, &BPFEMU_PASTE(bpfemu_it, __LINE__));     \
	     ({                                                                            \
		     const int *bpfemu_elem =                                              \
			     bpf_iter_num_next(BPFEMU_PASTE(bpfemu_at, __LINE__));         \
		     bpfemu_elem && ((i) = *bpfemu_elem, (i) >= (start) && (i) < (end));   \
	     });)

/* The body, count times. */
#define bpf_repeat(count)                                                                  \
	for (struct bpf_iter_num BPFEMU_PASTE(bpfemu_it, __LINE__)                         \
		     __attribute__((aligned(8), cleanup(bpf_iter_num_destroy))),           \
	     *BPFEMU_PASTE(bpfemu_at, __LINE__) =                                          \
		     (bpf_iter_num_new(&BPFEMU_PASTE(bpfemu_it, __LINE__), 0, (count)),    \
		      (void)bpf_iter_num_destroy, &BPFEMU_PASTE(bpfemu_it, __LINE__));     \
	     bpf_iter_num_next(BPFEMU_PASTE(bpfemu_at, __LINE__));)

#endif
