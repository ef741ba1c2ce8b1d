/* Calls within the program: arguments, results, saved registers, stacks, depth. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __noinline __u64 five(__u64 a, __u64 b, __u64 c, __u64 d, __u64 e)
{
	barrier();
	return a + 10 * b + 100 * c + 1000 * d + 10000 * e;
}

SEC("syscall")
__description("five arguments")
__success __retval(54321)
int five_arguments(void *ctx)
{
	return five(1, 2, 3, 4, 5);
}

static __noinline int clobber(int x)
{
	int a = x * 3, b = x * 5, c = x * 7, d = x * 11;

	barrier_var(a);
	barrier_var(b);
	barrier_var(c);
	barrier_var(d);
	return a + b + c + d;
}

SEC("syscall")
__description("what the caller keeps in registers survives a call")
__success __retval(132)
int registers_survive(void *ctx)
{
	__u64 a = bpf_get_prandom_u32() & 0, b = a + 1, c = a + 2, d = a + 3;

	barrier_var(b);
	barrier_var(c);
	barrier_var(d);
	return clobber(1) * 5 + b + c - d + a + (b + c) - 1; /* 26 * 5 + 0 + 3 - 1 */
}

static __noinline int fill(int x)
{
	char room[256];

	__builtin_memset(room, x, sizeof(room));
	barrier_var(x);
	return room[255 - (x & 1)];
}

SEC("syscall")
__description("each frame has a stack of its own")
__success __retval(1)
int own_stacks(void *ctx)
{
	char room[128];
	int inner;

	__builtin_memset(room, 7, sizeof(room));
	inner = fill(9);
	barrier();
	return inner == 9 && room[0] == 7 && room[127] == 7;
}

static __noinline void store_through(int *at)
{
	*at += 5;
}

SEC("syscall")
__description("a pointer to the caller's stack")
__success __retval(47)
int caller_stack(void *ctx)
{
	int value = 42;

	store_through(&value);
	return value;
}

#define CHAIN(name, next)                 \
	static __noinline int name(int x) \
	{                                 \
		return next(x + 1) + 1;   \
	}
static __noinline int g7(int x)
{
	barrier_var(x);
	return x;
}
CHAIN(g6, g7)
CHAIN(g5, g6)
CHAIN(g4, g5)
CHAIN(g3, g4)
CHAIN(g2, g3)
CHAIN(g1, g2)

SEC("syscall")
__description("eight frames are allowed: the program and g1 to g7")
__success __retval(12)
int eight_frames(void *ctx)
{
	return g1(0); /* 6 on the way down, 6 on the way up */
}

__noinline int global_square(int x)
{
	return x * x;
}

SEC("syscall")
__description("a global function")
__success __retval(49)
int global_call(void *ctx)
{
	return global_square(7);
}

__weak __noinline int overridable(void)
{
	return 8;
}

SEC("syscall")
__description("a weak function that nobody overrides")
__success __retval(8)
int weak_call(void *ctx)
{
	return overridable();
}

static __noinline int is_odd(int n, int left);

SEC("syscall")
__description("called from two places with different arguments")
__success __retval(110)
int two_places(void *ctx)
{
	return is_odd(3, 1) * 100 + is_odd(4, 2) + 10;
}

static __noinline int is_odd(int n, int left)
{
	barrier_var(left);
	return n & 1;
}
