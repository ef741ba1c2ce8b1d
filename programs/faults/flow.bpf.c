/* Control flow that does not end well; the kernel's verifier refuses each. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

volatile __u32 depth;

/* Nine frames: the program and f1 to f8. */
#define CHAIN(name, next)                   \
	static __noinline int name(int x)   \
	{                                   \
		depth++;                    \
		return next(x + 1) + 1;     \
	}
static __noinline int f8(int x)
{
	depth++;
	return x;
}
CHAIN(f7, f8)
CHAIN(f6, f7)
CHAIN(f5, f6)
CHAIN(f4, f5)
CHAIN(f3, f4)
CHAIN(f2, f3)
CHAIN(f1, f2)

SEC("?raw_tp")
__description("nine frames deep")
__failure __msg("the call stack of 9 frames is too deep")
__fault(STACK_DEPTH)
int nine_frames(void *ctx)
{
	return f1(0);
}

SEC("?raw_tp")
__description("a function that calls itself without end")
__failure
__fault(STACK_DEPTH)
__naked int recursion(void)
{
	asm volatile("call recurse_forever;"
		     "exit;" ::: __clobber_all);
}

static __naked __noinline __attribute__((used)) int recurse_forever(void)
{
	asm volatile("call recurse_forever;"
		     "exit;" ::: __clobber_all);
}

SEC("?raw_tp")
__description("a loop without end: only a budget stops it")
__failure __msg("infinite loop detected")
__budget(100000)
__naked int endless(void)
{
	asm volatile("r0 = 0;"
		     "again_%=:"
		     "if r0 == 0 goto again_%=;"
		     "exit;" ::: __clobber_all);
}
