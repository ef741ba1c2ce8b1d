/* Global data: .data, .rodata, .bss, sections of their own, strings, and .kconfig. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

int counter = 40;
int zeroed;
const volatile int limit = 5;
const volatile struct {
	int a;
	int b;
} pair = { 3, 4 };
static int hidden_count = 7;
int own SEC(".data.own") = 11;
const char word[] = "census";

extern int LINUX_KERNEL_VERSION __kconfig;
extern unsigned CONFIG_NO_SUCH_OPTION __kconfig __weak;
extern bool CONFIG_NO_SUCH_SWITCH __kconfig __weak;

SEC("syscall")
__description("initial values of .data, .bss and .rodata")
__success __retval(52)
int initial(void *ctx)
{
	return counter + zeroed + limit + pair.a + pair.b;
}

SEC("syscall")
__description("a static variable and a section of its own")
__success __retval(18)
int special(void *ctx)
{
	barrier_var(ctx);
	return *(volatile int *)&hidden_count + own;
}

SEC("syscall")
__description("a string constant, letter by letter")
__success __retval(645)
int letters(void *ctx)
{
	int i, sum = 0;

	bpf_for(i, 0, 6) {
		if (i < (int)sizeof(word))
			sum += *(volatile const char *)&word[i]; /* 99 101 110 115 117 115 */
	}
	return sum - 12;
}

SEC("syscall")
__description("the kernel's version, 6.0 or newer")
__success __retval(1)
int version(void *ctx)
{
	return LINUX_KERNEL_VERSION >= KERNEL_VERSION(6, 0, 0) &&
	       LINUX_KERNEL_VERSION < KERNEL_VERSION(9, 0, 0);
}

SEC("syscall")
__description("weak options that no kernel has are 0")
__success __retval(0)
int weak_options(void *ctx)
{
	return CONFIG_NO_SUCH_OPTION + CONFIG_NO_SUCH_SWITCH;
}

struct point {
	int x, y;
};
struct point points[4] = { { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 } };

SEC("syscall")
__description("an array of structs, indexed at run time")
__success __retval(36)
int indexed(void *ctx)
{
	int i, sum = 0;

	bpf_for(i, 0, 4) {
		if (i >= 0 && i < 4)
			sum += points[i].x + points[i].y;
	}
	return sum;
}
