#ifndef BPFEMU_TRACING_H
#define BPFEMU_TRACING_H

/*
 * Programs with the arguments of the traced function instead of a raw context.
 *
 *	SEC("tp_btf/task_newtask")
 *	int BPF_PROG(on_new, struct task_struct *task, u64 clone_flags) { ... }
 *
 * Each macro declares the program, which unpacks its context, and an inlined function of which
 * the text behind the macro is the body.  The arguments are declared with a comma before each.
 */
#define BPFEMU_UNPACKED(name, context, unpacked, args...)                                  \
	name(context);                                                                     \
	static __always_inline __typeof__(name(0)) bpfemu_##name(context args);           \
	__typeof__(name(0)) name(context)                                                  \
	{                                                                                  \
		_Pragma("GCC diagnostic push")                                             \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"")                     \
		return bpfemu_##name(ctx unpacked);                                        \
		_Pragma("GCC diagnostic pop")                                              \
	}                                                                                  \
	static __always_inline __typeof__(name(0)) bpfemu_##name(context args)

/* The context is an array of 64-bit words: tp_btf, fentry, fexit, lsm, iter, raw_tp. */
#define BPF_PROG(name, args...)                                                            \
	BPFEMU_UNPACKED(name, unsigned long long *ctx,                                     \
			BPFEMU_BY_COUNT(BPFEMU_WORDS_, ##args), , ##args)
#define BPFEMU_WORD(n) , (void *)ctx[n]
#define BPFEMU_WORDS_0
#define BPFEMU_WORDS_1 BPFEMU_WORDS_0 BPFEMU_WORD(0)
#define BPFEMU_WORDS_2 BPFEMU_WORDS_1 BPFEMU_WORD(1)
#define BPFEMU_WORDS_3 BPFEMU_WORDS_2 BPFEMU_WORD(2)
#define BPFEMU_WORDS_4 BPFEMU_WORDS_3 BPFEMU_WORD(3)
#define BPFEMU_WORDS_5 BPFEMU_WORDS_4 BPFEMU_WORD(4)
#define BPFEMU_WORDS_6 BPFEMU_WORDS_5 BPFEMU_WORD(5)
#define BPFEMU_WORDS_7 BPFEMU_WORDS_6 BPFEMU_WORD(6)
#define BPFEMU_WORDS_8 BPFEMU_WORDS_7 BPFEMU_WORD(7)
#define BPFEMU_WORDS_9 BPFEMU_WORDS_8 BPFEMU_WORD(8)
#define BPFEMU_WORDS_10 BPFEMU_WORDS_9 BPFEMU_WORD(9)
#define BPFEMU_WORDS_11 BPFEMU_WORDS_10 BPFEMU_WORD(10)
#define BPFEMU_WORDS_12 BPFEMU_WORDS_11 BPFEMU_WORD(11)

/* The context are the registers at a function's entry: kprobe; at its return: kretprobe. */
#define BPF_KPROBE(name, args...) \
	BPFEMU_UNPACKED(name, struct pt_regs *ctx, BPFEMU_BY_COUNT(BPFEMU_PARMS_, ##args), , ##args)
#define BPFEMU_PARMS_0
#define BPFEMU_PARMS_1 BPFEMU_PARMS_0, (void *)PT_REGS_PARM1(ctx)
#define BPFEMU_PARMS_2 BPFEMU_PARMS_1, (void *)PT_REGS_PARM2(ctx)
#define BPFEMU_PARMS_3 BPFEMU_PARMS_2, (void *)PT_REGS_PARM3(ctx)
#define BPFEMU_PARMS_4 BPFEMU_PARMS_3, (void *)PT_REGS_PARM4(ctx)
#define BPFEMU_PARMS_5 BPFEMU_PARMS_4, (void *)PT_REGS_PARM5(ctx)
#define BPFEMU_PARMS_6 BPFEMU_PARMS_5, (void *)PT_REGS_PARM6(ctx)

#define BPF_KRETPROBE(name, args...) \
	BPFEMU_UNPACKED(name, struct pt_regs *ctx, BPFEMU_BY_COUNT(BPFEMU_RETS_, ##args), , ##args)
#define BPFEMU_RETS_0
#define BPFEMU_RETS_1 , (void *)PT_REGS_RC(ctx)

/* Functions in user space are entered and left as those of the kernel. */
#define BPF_UPROBE(name, args...) BPF_KPROBE(name, ##args)
#define BPF_URETPROBE(name, args...) BPF_KRETPROBE(name, ##args)

/*
 * System calls: x86-64 hands their wrappers one argument, the registers of user space, which are
 * kernel memory like any other and have to be read.
 */
#define BPF_KSYSCALL(name, args...)                                                        \
	BPFEMU_UNPACKED(name, struct pt_regs *ctx,                                         \
			BPFEMU_BY_COUNT(BPFEMU_SYSARGS_, ##args), , ##args)
#define BPF_KPROBE_SYSCALL(name, args...) BPF_KSYSCALL(name, ##args)
#define PT_REGS_SYSCALL_REGS(x) ((struct pt_regs *)PT_REGS_PARM1(x))
#define BPFEMU_SYSARG(reg)                                                                 \
	, ({                                                                               \
		unsigned long bpfemu_arg = 0;                                              \
		bpf_probe_read_kernel(&bpfemu_arg, sizeof(bpfemu_arg),                     \
				      __builtin_preserve_access_index(                     \
					      &PT_REGS_SYSCALL_REGS(ctx)->reg));           \
		(void *)bpfemu_arg;                                                        \
	})
#define BPFEMU_SYSARGS_0
#define BPFEMU_SYSARGS_1 BPFEMU_SYSARGS_0 BPFEMU_SYSARG(di)
#define BPFEMU_SYSARGS_2 BPFEMU_SYSARGS_1 BPFEMU_SYSARG(si)
#define BPFEMU_SYSARGS_3 BPFEMU_SYSARGS_2 BPFEMU_SYSARG(dx)
#define BPFEMU_SYSARGS_4 BPFEMU_SYSARGS_3 BPFEMU_SYSARG(r10)
#define BPFEMU_SYSARGS_5 BPFEMU_SYSARGS_4 BPFEMU_SYSARG(r8)
#define BPFEMU_SYSARGS_6 BPFEMU_SYSARGS_5 BPFEMU_SYSARG(r9)

/*
 * Traced functions that take structs of up to 16 bytes by value, which fill two words of the
 * context: types and names in turn, up to six pairs.
 *
 *	SEC("fentry/f")
 *	int BPF_PROG2(on_f, struct pair, p, int, n) { ... }
 */
#define BPF_PROG2(name, args...)                                                           \
	BPFEMU_UNPACKED(name, unsigned long long *ctx,                                     \
			BPFEMU_BY_COUNT(BPFEMU_VALUES_, ##args)(0, ##args),                \
			BPFEMU_BY_COUNT(BPFEMU_PAIRS_, ##args)(args))
#define BPFEMU_VALUE(n, type)                                                              \
	, ({                                                                               \
		union {                                                                    \
			unsigned long long word[2];                                        \
			type value;                                                        \
		} bpfemu_arg = {{ctx[n], 0}};                                              \
		if (sizeof(type) > 8)                                                      \
			bpfemu_arg.word[1] = ctx[(n) + 1];                                 \
		bpfemu_arg.value;                                                          \
	})
#define BPFEMU_NEXT(n, type) ((n) + (sizeof(type) + 7) / 8)
#define BPFEMU_VALUES_0(n)
#define BPFEMU_VALUES_2(n, type, x) BPFEMU_VALUE(n, type)
#define BPFEMU_VALUES_4(n, type, x, ...) \
	BPFEMU_VALUE(n, type) BPFEMU_VALUES_2(BPFEMU_NEXT(n, type), __VA_ARGS__)
#define BPFEMU_VALUES_6(n, type, x, ...) \
	BPFEMU_VALUE(n, type) BPFEMU_VALUES_4(BPFEMU_NEXT(n, type), __VA_ARGS__)
#define BPFEMU_VALUES_8(n, type, x, ...) \
	BPFEMU_VALUE(n, type) BPFEMU_VALUES_6(BPFEMU_NEXT(n, type), __VA_ARGS__)
#define BPFEMU_VALUES_10(n, type, x, ...) \
	BPFEMU_VALUE(n, type) BPFEMU_VALUES_8(BPFEMU_NEXT(n, type), __VA_ARGS__)
#define BPFEMU_VALUES_12(n, type, x, ...) \
	BPFEMU_VALUE(n, type) BPFEMU_VALUES_10(BPFEMU_NEXT(n, type), __VA_ARGS__)
#define BPFEMU_PAIRS_0()
#define BPFEMU_PAIRS_2(type, x) , type x
#define BPFEMU_PAIRS_4(type, x, ...) , type x BPFEMU_PAIRS_2(__VA_ARGS__)
#define BPFEMU_PAIRS_6(type, x, ...) , type x BPFEMU_PAIRS_4(__VA_ARGS__)
#define BPFEMU_PAIRS_8(type, x, ...) , type x BPFEMU_PAIRS_6(__VA_ARGS__)
#define BPFEMU_PAIRS_10(type, x, ...) , type x BPFEMU_PAIRS_8(__VA_ARGS__)
#define BPFEMU_PAIRS_12(type, x, ...) , type x BPFEMU_PAIRS_10(__VA_ARGS__)

/*
 * Registers by their role in the x86-64 calling convention (the emulated kernel is x86-64).
 * The kernel's names are di, si, ...; user space's header names them rdi, rsi, ...
 */
#if defined(__KERNEL__) || defined(__VMLINUX_H__)
#define BPFEMU_REG(regs, short_name, long_name) ((regs)->short_name)
#else
#define BPFEMU_REG(regs, short_name, long_name) ((regs)->long_name)
#endif
#define PT_REGS_PARM1(x) BPFEMU_REG(x, di, rdi)
#define PT_REGS_PARM2(x) BPFEMU_REG(x, si, rsi)
#define PT_REGS_PARM3(x) BPFEMU_REG(x, dx, rdx)
#define PT_REGS_PARM4(x) BPFEMU_REG(x, cx, rcx)
#define PT_REGS_PARM5(x) ((x)->r8)
#define PT_REGS_PARM6(x) ((x)->r9)
#define PT_REGS_PARM1_SYSCALL(x) PT_REGS_PARM1(x)
#define PT_REGS_PARM2_SYSCALL(x) PT_REGS_PARM2(x)
#define PT_REGS_PARM3_SYSCALL(x) PT_REGS_PARM3(x)
#define PT_REGS_PARM4_SYSCALL(x) ((x)->r10)
#define PT_REGS_PARM5_SYSCALL(x) PT_REGS_PARM5(x)
#define PT_REGS_PARM6_SYSCALL(x) PT_REGS_PARM6(x)
#define PT_REGS_PARM1_CORE_SYSCALL(x) PT_REGS_PARM1_CORE(x)
#define PT_REGS_PARM2_CORE_SYSCALL(x) PT_REGS_PARM2_CORE(x)
#define PT_REGS_PARM3_CORE_SYSCALL(x) PT_REGS_PARM3_CORE(x)
#define PT_REGS_PARM4_CORE_SYSCALL(x) BPF_CORE_READ(x, r10)
#define PT_REGS_PARM5_CORE_SYSCALL(x) PT_REGS_PARM5_CORE(x)
#define PT_REGS_PARM6_CORE_SYSCALL(x) PT_REGS_PARM6_CORE(x)
#define PT_REGS_RET(x) BPFEMU_REG(x, sp, rsp)
#define PT_REGS_FP(x) BPFEMU_REG(x, bp, rbp)
#define PT_REGS_RC(x) BPFEMU_REG(x, ax, rax)
#define PT_REGS_SP(x) BPFEMU_REG(x, sp, rsp)
#define PT_REGS_IP(x) BPFEMU_REG(x, ip, rip)
#define PT_REGS_PARM1_CORE(x) BPF_CORE_READ(x, di)
#define PT_REGS_PARM2_CORE(x) BPF_CORE_READ(x, si)
#define PT_REGS_PARM3_CORE(x) BPF_CORE_READ(x, dx)
#define PT_REGS_PARM4_CORE(x) BPF_CORE_READ(x, cx)
#define PT_REGS_PARM5_CORE(x) BPF_CORE_READ(x, r8)
#define PT_REGS_PARM6_CORE(x) BPF_CORE_READ(x, r9)
#define PT_REGS_RET_CORE(x) BPF_CORE_READ(x, sp)
#define PT_REGS_FP_CORE(x) BPF_CORE_READ(x, bp)
#define PT_REGS_RC_CORE(x) BPF_CORE_READ(x, ax)
#define PT_REGS_SP_CORE(x) BPF_CORE_READ(x, sp)
#define PT_REGS_IP_CORE(x) BPF_CORE_READ(x, ip)

#endif
