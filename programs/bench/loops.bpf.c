/*
 * The loops that bench/ measures: arithmetic, memory, numbers, VMAs.
 *
 * The first two are no __success: as their rounds are not known, the kernel's verifier refuses them.
 */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Rounds of each loop; set before load. */
const volatile __u32 rounds = 1000;

__u64 words[64];
__u64 bytes;

SEC("?syscall")
__description("five ALU instructions a round and a jump")
__retval(1)
__naked int alu_loop(void)
{
	asm volatile("r1 = %[rounds] ll;"
		     "r1 = *(u32 *)(r1 + 0);"
		     "r0 = 1;"
		     "r2 = 0;"
		     "1: r2 += r1;"
		     "r2 ^= r0;"
		     "r3 = r2;"
		     "r3 >>= 7;"
		     "r1 -= 1;"
		     "if r1 != 0 goto 1b;"
		     "exit;" ::__imm_addr(rounds)
		     : __clobber_all);
}

SEC("?syscall")
__description("a load, an addition and a store a round, in a map value")
__retval(1)
__naked int memory_loop(void)
{
	asm volatile("r1 = %[rounds] ll;"
		     "r1 = *(u32 *)(r1 + 0);"
		     "r4 = %[words] ll;"
		     "r0 = 1;"
		     "1: r2 = *(u64 *)(r4 + 8);"
		     "r2 += r1;"
		     "*(u64 *)(r4 + 8) = r2;"
		     "r1 -= 1;"
		     "if r1 != 0 goto 1b;"
		     "exit;" ::__imm_addr(rounds), __imm_addr(words)
		     : __clobber_all);
}

SEC("?syscall")
__description("the numbers up to rounds, summed")
__success __retval(499500)
int num_loop(void *ctx)
{
	__u32 sum = 0;
	int i;

	bpf_for(i, 0, rounds)
		sum += i;
	return sum;
}

SEC("?syscall")
__description("the VMAs of the current task, their bytes summed")
__success __retval(1)
int vma_loop(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma;

	bytes = 0;
	bpf_for_each(task_vma, vma, task, 0)
		bytes += vma->vm_end - vma->vm_start;
	return bytes > 0;
}
