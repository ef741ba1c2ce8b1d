#ifndef BPFEMU_PRINTK_H
#define BPFEMU_PRINTK_H

/*
 * Formatted output.  The format becomes a constant of its own; up to three arguments travel in
 * registers (bpf_trace_printk), more in an array (bpf_trace_vprintk, BPF_SNPRINTF,
 * BPF_SEQ_PRINTF).
 */
#define bpf_printk(fmt, args...) BPFEMU_BY_COUNT(BPFEMU_PRINTK_, ##args)(fmt, ##args)

#define BPFEMU_PRINTK_SHORT(fmt, args...)                               \
	({                                                              \
		static const char bpfemu_fmt[] = fmt;                   \
		bpf_trace_printk(bpfemu_fmt, sizeof(bpfemu_fmt), ##args); \
	})
#define BPFEMU_PRINTK_LONG(fmt, args...)                                               \
	({                                                                             \
		static const char bpfemu_fmt[] = fmt;                                  \
		unsigned long long bpfemu_args[] = { BPFEMU_SLOTS(args) };             \
		bpf_trace_vprintk(bpfemu_fmt, sizeof(bpfemu_fmt), bpfemu_args,         \
				  sizeof(bpfemu_args));                                \
	})
#define BPFEMU_PRINTK_0 BPFEMU_PRINTK_SHORT
#define BPFEMU_PRINTK_1 BPFEMU_PRINTK_SHORT
#define BPFEMU_PRINTK_2 BPFEMU_PRINTK_SHORT
#define BPFEMU_PRINTK_3 BPFEMU_PRINTK_SHORT
#define BPFEMU_PRINTK_4 BPFEMU_PRINTK_LONG
#define BPFEMU_PRINTK_5 BPFEMU_PRINTK_LONG
#define BPFEMU_PRINTK_6 BPFEMU_PRINTK_LONG
#define BPFEMU_PRINTK_7 BPFEMU_PRINTK_LONG
#define BPFEMU_PRINTK_8 BPFEMU_PRINTK_LONG
#define BPFEMU_PRINTK_9 BPFEMU_PRINTK_LONG
#define BPFEMU_PRINTK_10 BPFEMU_PRINTK_LONG
#define BPFEMU_PRINTK_11 BPFEMU_PRINTK_LONG
#define BPFEMU_PRINTK_12 BPFEMU_PRINTK_LONG

#define BPF_SNPRINTF(out, out_size, fmt, args...)                                    \
	({                                                                           \
		static const char bpfemu_fmt[] = fmt;                                \
		unsigned long long bpfemu_args[] = { BPFEMU_SLOTS(args) };           \
		bpf_snprintf(out, out_size, bpfemu_fmt, bpfemu_args,                 \
			     sizeof(bpfemu_args));                                   \
	})
#define BPF_SEQ_PRINTF(seq, fmt, args...)                                            \
	({                                                                           \
		static const char bpfemu_fmt[] = fmt;                                \
		unsigned long long bpfemu_args[] = { BPFEMU_SLOTS(args) };           \
		bpf_seq_printf(seq, bpfemu_fmt, sizeof(bpfemu_fmt), bpfemu_args,     \
			       sizeof(bpfemu_args));                                 \
	})

/* Each argument as one 64-bit slot, sign-extended where it is signed. */
#define BPFEMU_SLOT(x) (unsigned long long)(x)
#define BPFEMU_SLOTS(...) BPFEMU_BY_COUNT(BPFEMU_SLOTS_, ##__VA_ARGS__)(__VA_ARGS__)
#define BPFEMU_SLOTS_0()
#define BPFEMU_SLOTS_1(x) BPFEMU_SLOT(x)
#define BPFEMU_SLOTS_2(x, ...) BPFEMU_SLOT(x), BPFEMU_SLOTS_1(__VA_ARGS__)
#define BPFEMU_SLOTS_3(x, ...) BPFEMU_SLOT(x), BPFEMU_SLOTS_2(__VA_ARGS__)
#define BPFEMU_SLOTS_4(x, ...) BPFEMU_SLOT(x), BPFEMU_SLOTS_3(__VA_ARGS__)
#define BPFEMU_SLOTS_5(x, ...) BPFEMU_SLOT(x), BPFEMU_SLOTS_4(__VA_ARGS__)
#define BPFEMU_SLOTS_6(x, ...) BPFEMU_SLOT(x), BPFEMU_SLOTS_5(__VA_ARGS__)
#define BPFEMU_SLOTS_7(x, ...) BPFEMU_SLOT(x), BPFEMU_SLOTS_6(__VA_ARGS__)
#define BPFEMU_SLOTS_8(x, ...) BPFEMU_SLOT(x), BPFEMU_SLOTS_7(__VA_ARGS__)
#define BPFEMU_SLOTS_9(x, ...) BPFEMU_SLOT(x), BPFEMU_SLOTS_8(__VA_ARGS__)
#define BPFEMU_SLOTS_10(x, ...) BPFEMU_SLOT(x), BPFEMU_SLOTS_9(__VA_ARGS__)
#define BPFEMU_SLOTS_11(x, ...) BPFEMU_SLOT(x), BPFEMU_SLOTS_10(__VA_ARGS__)
#define BPFEMU_SLOTS_12(x, ...) BPFEMU_SLOT(x), BPFEMU_SLOTS_11(__VA_ARGS__)

#endif
