#ifndef BPFEMU_ATTRS_H
#define BPFEMU_ATTRS_H

/* Where things go in the object, and how maps are declared. */

/* Put a function or variable into an ELF section and keep it, used or not. */
#define SEC(name) __attribute__((section(name), used))

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif
#ifndef __weak
#define __weak __attribute__((weak))
#endif
#ifndef __hidden
#define __hidden __attribute__((visibility("hidden")))
#endif
#ifndef __unused
#define __unused __attribute__((unused))
#endif
#ifndef __aligned
#define __aligned(n) __attribute__((aligned(n)))
#endif
#ifndef __packed
#define __packed __attribute__((packed))
#endif

/* Symbols that the kernel supplies: functions and variables, and build options. */
#define __ksym __attribute__((section(".ksyms")))
#define __kconfig __attribute__((section(".kconfig")))

/* What a kptr in a map value points to, and what lies in user or per-CPU memory. */
#define __kptr __attribute__((btf_type_tag("kptr")))
#define __kptr_untrusted __attribute__((btf_type_tag("kptr_untrusted")))
#define __percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#define __uptr __attribute__((btf_type_tag("uptr")))

/* What a global subprogram's argument is known to be. */
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#define __arg_nullable __attribute__((btf_decl_tag("arg:nullable")))
#define __arg_trusted __attribute__((btf_decl_tag("arg:trusted")))
#define __arg_untrusted __attribute__((btf_decl_tag("arg:untrusted")))
#define __arg_arena __attribute__((btf_decl_tag("arg:arena")))

/*
 * Members of a map definition.  Only their types matter: a number travels as the length of an
 * array that is pointed to, a type as what is pointed to.
 */
#define __uint(name, number) int(*name)[number]
#define __type(name, ctype) __typeof__(ctype) *name
#define __array(name, ctype) __typeof__(ctype) *name[]
#define __ulong(name, number) enum { BPFEMU_PASTE(__unique_value, __COUNTER__) = (number) } name

#define BPFEMU_PASTE(a, b) BPFEMU_PASTE_(a, b)
#define BPFEMU_PASTE_(a, b) a##b

enum libbpf_pin_type {
	LIBBPF_PIN_NONE,
	LIBBPF_PIN_BY_NAME,
};

enum libbpf_tristate {
	TRI_NO = 0,
	TRI_YES = 1,
	TRI_MODULE = 2,
};

#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif
#ifndef container_of
#define container_of(ptr, type, member) \
	((type *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))
#endif

#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))

/* The compiler must not reorder memory accesses across this, or forget about this value. */
#ifndef barrier
#define barrier() __asm__ volatile("" ::: "memory")
#endif
#ifndef barrier_var
#define barrier_var(var) __asm__ volatile("" : "+r"(var))
#endif

/* For functions written in assembly: what they may change, and constants and helpers by name. */
#define __naked __attribute__((naked))
#define __clobber_all \
	"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "memory"
#define __clobber_common "r0", "r1", "r2", "r3", "r4", "r5", "memory"
#define __imm(name) [name] "i"(name)
#define __imm_const(name, expr) [name] "i"(expr)
#define __imm_addr(name) [name] "i"(&name)
#define __imm_ptr(name) [name] "r"(&name)
#define __imm_insn(name, expr) [name] "i"(*(long *)&(expr))

#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#endif
#ifndef unlikely
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

/* How many arguments a variadic macro got: 0 to 12. */
#define BPFEMU_COUNT(...) \
	BPFEMU_COUNT_(0, ##__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define BPFEMU_COUNT_(x, a, b, c, d, e, f, g, h, i, j, k, l, n, ...) n
/* stem##count of the arguments, to be called with them. */
#define BPFEMU_BY_COUNT(stem, ...) BPFEMU_PASTE(stem, BPFEMU_COUNT(__VA_ARGS__))

#endif
