/* Formatting and strings: bpf_printk, bpf_snprintf, strtol, strncmp. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

char text[64];
const char five[] = "five";

SEC("syscall")
__description("up to three arguments")
__success __retval(19)
__stdout("number 5, hex ff, -7")
int print_three(void *ctx)
{
	return bpf_printk("number %d, hex %x, %d", 5, 255, -7) - 1;
}

SEC("syscall")
__description("more than three arguments travel in an array")
__success
__stdout("1 2 3 4 five")
int print_five(void *ctx)
{
	bpf_printk("%d %d %d %d %s", 1, 2, 3, 4, five);
	return 0;
}

SEC("syscall")
__description("no argument at all, and a percent sign")
__success
__stdout("100% done")
int print_none(void *ctx)
{
	bpf_printk("100%% done");
	return 0;
}

SEC("syscall")
__description("64-bit numbers, signed, unsigned and in hex")
__success
__stdout("-1 18446744073709551615 ffffffffffffffff")
int print_wide(void *ctx)
{
	bpf_printk("%lld %llu %llx", -1LL, ~0ULL, ~0ULL);
	return 0;
}

static bool same(const char *expected, int size)
{
	int i;

	bpf_for(i, 0, 64) {
		if (i >= size)
			break;
		if (text[i] != expected[i])
			return false;
	}
	return true;
}

const char padded[] = "[   42] [00ff]";

SEC("syscall")
__description("snprintf pads, and counts the NUL")
__success __retval(15)
int snprintf_padded(void *ctx)
{
	long size = BPF_SNPRINTF(text, sizeof(text), "[%5d] [%04x]", 42, 255);

	return same(padded, sizeof(padded)) ? size : -1;
}

const char cut[] = "abcdefg";

SEC("syscall")
__description("snprintf cuts what does not fit, and says how long it would be")
__success __retval(11)
int snprintf_cut(void *ctx)
{
	static const char letters[] = "abcdefghij";
	long size = BPF_SNPRINTF(text, 8, "%s", letters);

	return same(cut, sizeof(cut)) ? size : -1;
}

SEC("syscall")
__description("snprintf with no room at all only counts")
__success __retval(4)
int snprintf_counts(void *ctx)
{
	return BPF_SNPRINTF(NULL, 0, "%d", 123);
}

SEC("syscall")
__description("the first 16 letters of a task's name")
__success __retval(1)
int snprintf_comm(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	char comm[16] = {};
	long size;

	bpf_get_current_comm(comm, sizeof(comm));
	size = BPF_SNPRINTF(text, sizeof(text), "%s", task->comm);
	return size > 1 && size <= 16 && text[0] == comm[0];
}

SEC("syscall")
__description("strtol: decimal, hex, octal, negative")
__success __retval(1111)
int numbers(void *ctx)
{
	char decimal[] = "123 more", hex[] = "0x1f", octal[] = "017", negative[] = "-42";
	int points = 0;
	long value;

	if (bpf_strtol(decimal, sizeof(decimal), 0, &value) == 3 && value == 123)
		points += 1;
	if (bpf_strtol(hex, sizeof(hex), 0, &value) == 4 && value == 31)
		points += 10;
	if (bpf_strtol(octal, sizeof(octal), 0, &value) == 3 && value == 15)
		points += 100;
	if (bpf_strtol(negative, sizeof(negative), 10, &value) == 3 && value == -42)
		points += 1000;
	return points;
}

SEC("syscall")
__description("strtol: no number there: -EINVAL")
__success __retval(-22)
int no_number(void *ctx)
{
	char none[] = "none";
	long value;

	return bpf_strtol(none, sizeof(none), 0, &value);
}

SEC("syscall")
__description("strtol: too big: -ERANGE")
__success __retval(-34)
int big_number(void *ctx)
{
	char big[] = "9223372036854775808";
	long value;

	return bpf_strtol(big, sizeof(big), 10, &value);
}

SEC("syscall")
__description("strtoul takes no sign: -EINVAL")
__success __retval(-22)
int signed_number(void *ctx)
{
	char negative[] = "-1";
	unsigned long value;

	return bpf_strtoul(negative, sizeof(negative), 10, &value);
}

const char census[] = "census";

SEC("syscall")
__description("strncmp: equal, smaller, greater, and equal as far as looked at")
__success __retval(1111)
int compare(void *ctx)
{
	char same_word[8] = "census", less[8] = "canal", more[8] = "cinema", start[8] = "cenxxx";
	int points = 0;

	if (bpf_strncmp(same_word, 8, census) == 0)
		points += 1;
	if (bpf_strncmp(less, 8, census) < 0)
		points += 10;
	if (bpf_strncmp(more, 8, census) > 0)
		points += 100;
	if (bpf_strncmp(start, 3, census) == 0)
		points += 1000;
	return points;
}
