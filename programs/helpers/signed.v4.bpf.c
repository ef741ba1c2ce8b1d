/* Instructions that came with -mcpu=v4: signed division, sign-extending moves and loads, bswap. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

volatile __s64 minus_seven = -7;
volatile __s32 two = 2;
volatile __s8 byte = -1;
volatile __s16 half = -2;
volatile __s32 word = -3;

SEC("raw_tp")
__description("signed division and remainder round towards zero")
__success __retval(11)
int signed_divide(void *ctx)
{
	int points = 0;

	if (minus_seven / two == -3)
		points += 1;
	if (minus_seven % two == -1)
		points += 10;
	return points;
}

SEC("raw_tp")
__description("loads that extend the sign")
__success __retval(-6)
int signed_loads(void *ctx)
{
	return (__s64)byte + (__s64)half + (__s64)word;
}

SEC("raw_tp")
__description("moves that extend the sign")
__success __retval(1)
int signed_moves(void *ctx)
{
	__u64 x = 0x123456fedcba98f6ULL + (two - 2);

	return (__s64)(__s8)x == -10 && (__s64)(__s16)x == (__s16)0x98f6 &&
	       (__s64)(__s32)x == (__s32)0xdcba98f6;
}

SEC("raw_tp")
__description("a byte swap whatever the host's order")
__success __retval(1)
int byte_swap(void *ctx)
{
	__u64 x = 0x0102030405060708ULL + (two - 2);

	return __builtin_bswap64(x) == 0x0807060504030201ULL &&
	       __builtin_bswap32(x) == 0x08070605 && __builtin_bswap16(x) == 0x0807;
}

SEC("raw_tp")
__description("the most negative number divided by -1 is itself")
__success __retval(1)
__naked int overflowing_divide(void)
{
	asm volatile("r0 = 0;"
		     "r1 = 0x8000000000000000 ll;"
		     "r2 = -1;"
		     "r3 = r1;"
		     "r3 s/= r2;"
		     "if r3 != r1 goto 1f;"
		     "r0 = 1;"
		     "1: exit;" ::: __clobber_all);
}
