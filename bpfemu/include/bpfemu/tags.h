#ifndef BPFEMU_TAGS_H
#define BPFEMU_TAGS_H

/*
 * A program's verdict, carried in the object as BTF declaration tags ("comment:test_..."): what a
 * test expects of it.  The names are those of the kernel's own BPF selftests; __fault is ours.
 *
 *	SEC("syscall")
 *	__description("ten numbers, summed")
 *	__success __retval(45)
 *	int sum(void *ctx) { ... }
 */
#define BPFEMU_TEXT(x) BPFEMU_TEXT_(x)
#define BPFEMU_TEXT_(x) #x
#define BPFEMU_TAG(text) __attribute__((btf_decl_tag("comment:" text)))

/* Loads, and runs when __retval is given. */
#define __success BPFEMU_TAG("test_expect_success")
/* The kernel's verifier refuses it. */
#define __failure BPFEMU_TAG("test_expect_failure")
/* The kernel's verifier says this while it looks at the program (in order, several allowed). */
#define __msg(text) BPFEMU_TAG("test_expect_msg=" BPFEMU_TEXT(__COUNTER__) "=" text)
/* What BPF_PROG_TEST_RUN reports: the low 32 bits of r0. */
#define __retval(number) BPFEMU_TAG("test_retval=" BPFEMU_TEXT(number))
#define __description(text) BPFEMU_TAG("test_description=" text)
#define __log_level(number) BPFEMU_TAG("test_log_level=" BPFEMU_TEXT(number))
#define __flag(name) BPFEMU_TAG("test_prog_flags=" BPFEMU_TEXT(name))
/* Not a test by itself: others call it. */
#define __auxiliary BPFEMU_TAG("test_auxiliary")
/* The run ends in this FaultKind: __fault(OUT_OF_BOUNDS). */
#define __fault(kind) BPFEMU_TAG("test_fault=" #kind)
/* The run goes on and this FaultKind is among its findings: __finding(UNINITIALISED). */
#define __finding(kind) BPFEMU_TAG("test_finding=" #kind)
/* The run ends by itself and leaves this behind: __leak("iterator"). */
#define __leak(kind) BPFEMU_TAG("test_leak=" kind)
/* After so many instructions it still runs: it has no end of its own. */
#define __budget(insns) BPFEMU_TAG("test_budget=" BPFEMU_TEXT(insns))
/* It needs this kernel, or what it tests came with it: __kernel(6.18.44). */
#define __kernel(profile) BPFEMU_TAG("test_kernel=" #profile)
/* One of the lines that bpf_printk wrote has this in it (several allowed). */
#define __stdout(text) BPFEMU_TAG("test_expect_stdout=" BPFEMU_TEXT(__COUNTER__) "=" text)

#endif
