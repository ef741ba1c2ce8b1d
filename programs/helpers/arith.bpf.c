/* Arithmetic where C and the machine could differ: signs, widths, shifts, division, swaps. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Read at run time, so that clang cannot work it out. */
volatile __u64 u = 0xfedcba9876543210ULL;
volatile __s64 s = -5;
volatile __u32 w = 0x80000000;
volatile __u8 shift = 4;

SEC("raw_tp")
__description("unsigned division and remainder")
__success __retval(1)
int divide(void *ctx)
{
	__u64 x = u;

	/* 0xfedcba9876543210 = 1000 * 18364758544493064 + 720 */
	return x / 1000 == 18364758544493064ULL && x % 1000 == 720 && x / 1 == x;
}

SEC("raw_tp")
__description("32-bit results have zeros above")
__success __retval(1)
int narrow_results(void *ctx)
{
	__u32 x = w;
	__u64 sum = (__u32)(x + x), diff = (__u32)(0 - (x >> 31));

	return sum == 0 && diff == 0xffffffffULL;
}

SEC("raw_tp")
__description("shifts: logical, arithmetic, left")
__success __retval(111)
int shifts(void *ctx)
{
	int points = 0;

	if (u >> shift == 0x0fedcba987654321ULL)
		points += 1;
	if ((__s64)u >> shift == (__s64)0xffedcba987654321ULL)
		points += 10;
	if (u << shift == 0xedcba98765432100ULL)
		points += 100;
	return points;
}

SEC("raw_tp")
__description("signed comparisons")
__success __retval(1111)
int signed_compare(void *ctx)
{
	__s64 x = s;
	int points = 0;

	if (x < 0)
		points += 1;
	if (x > -6 && x <= -5)
		points += 10;
	if ((__u64)x > 1000)
		points += 100;
	if ((__s32)w < (__s32)shift)
		points += 1000;
	return points;
}

SEC("raw_tp")
__description("sign extension from 8, 16 and 32 bits")
__success __retval(111)
int extend(void *ctx)
{
	__u64 x = 0x80ULL << shift >> 4;
	int points = 0;

	if ((__s64)(__s8)x == -128)
		points += 1;
	if ((__s64)(__s16)(x << 8) == -32768)
		points += 10;
	if ((__s64)(__s32)(x << 24) == -2147483648LL)
		points += 100;
	return points;
}

SEC("raw_tp")
__description("byte swaps of 16, 32 and 64 bits")
__success __retval(111)
int swaps(void *ctx)
{
	int points = 0;

	if (bpf_htons(u) == 0x1032)
		points += 1;
	if (bpf_htonl(u) == 0x10325476)
		points += 10;
	if (bpf_cpu_to_be64(u) == 0x1032547698badcfeULL)
		points += 100;
	return points;
}

SEC("raw_tp")
__description("multiplication wraps at 64 and at 32 bits")
__success __retval(1)
int multiply(void *ctx)
{
	__u64 x = u * u;
	__u32 y = w * 3;

	/* (2^64 - 0x0123456789abcdf0)^2 mod 2^64 = 0x0123456789abcdf0^2 mod 2^64 */
	return x == 0x0123456789abcdf0ULL * 0x0123456789abcdf0ULL && y == 0x80000000;
}

SEC("raw_tp")
__description("division and remainder by zero are defined: 0, and the dividend")
__success __retval(11)
__naked int by_zero(void)
{
	asm volatile("r1 = 10;"
		     "r2 = 0;"
		     "r3 = r1;"
		     "r3 /= r2;"
		     "r0 = 1;"
		     "r0 += r3;"
		     "r1 %%= r2;"
		     "r0 += r1;"
		     "exit;" ::: __clobber_all);
}

SEC("raw_tp")
__description("a shift by 65 is a shift by 1")
__success __retval(6)
__naked int shift_by_65(void)
{
	asm volatile("r0 = 3;"
		     "r1 = 65;"
		     "r0 <<= r1;"
		     "exit;" ::: __clobber_all);
}
