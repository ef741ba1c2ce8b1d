/* References, read sections and locks used wrongly; the kernel's verifier refuses each. */
#include <vmlinux.h>
#include <bpfemu.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("?syscall")
__description("a task reference never released")
__failure __msg("Unreleased reference")
__leak("reference")
int task_kept(void *ctx)
{
	struct task_struct *task = bpf_task_acquire(bpf_get_current_task_btf());

	return task ? task->pid > 0 : 0;
}

SEC("?syscall")
__description("a task reference released twice")
__failure
__fault(REFERENCE_STATE)
int task_released_twice(void *ctx)
{
	struct task_struct *task = bpf_task_acquire(bpf_get_current_task_btf());

	if (!task)
		return 0;
	bpf_task_release(task);
	bpf_task_release(task);
	return 0;
}

SEC("?syscall")
__description("a task released that was never acquired")
__failure __msg("release kernel function bpf_task_release expects refcounted PTR_TO_BTF_ID")
__fault(REFERENCE_STATE)
int task_not_acquired(void *ctx)
{
	bpf_task_release(bpf_get_current_task_btf());
	return 0;
}

SEC("?syscall")
__description("an RCU read section never left")
__failure __msg("bpf_rcu_read_lock-ed region")
__leak("rcu")
int rcu_kept(void *ctx)
{
	bpf_rcu_read_lock();
	return 0;
}

SEC("?syscall")
__description("an RCU read section left that was never entered")
__failure __msg("unmatched rcu read unlock")
__fault(LOCK_STATE)
int rcu_not_entered(void *ctx)
{
	bpf_rcu_read_unlock();
	return 0;
}

SEC("?syscall")
__description("preemption never enabled again")
__failure __msg("bpf_preempt_disable-ed region")
__leak("preempt")
int preempt_kept(void *ctx)
{
	bpf_preempt_disable();
	return 0;
}

SEC("?syscall")
__description("preemption enabled that was never disabled")
__failure __msg("unmatched attempt to enable preemption")
__fault(LOCK_STATE)
int preempt_not_disabled(void *ctx)
{
	bpf_preempt_enable();
	return 0;
}

SEC("?syscall")
__description("interrupts never enabled again")
__failure __msg("BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region")
__kernel(6.18.44) __leak("irq")
int irq_kept(void *ctx)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	return 0;
}

SEC("?syscall")
__description("interrupts restored in the wrong order")
__failure __msg("cannot restore irq state out of order")
__kernel(6.18.44) __fault(LOCK_STATE)
int irq_order(void *ctx)
{
	unsigned long outer, inner;

	bpf_local_irq_save(&outer);
	bpf_local_irq_save(&inner);
	bpf_local_irq_restore(&outer);
	bpf_local_irq_restore(&inner);
	return 0;
}

SEC("?syscall")
__description("a helper that sleeps called with preemption disabled")
__failure
__fault(CONTEXT)
int sleeps_without_preemption(void *ctx)
{
	char byte = 0;

	bpf_preempt_disable();
	bpf_copy_from_user(&byte, 1, (void *)0x1000);
	bpf_preempt_enable();
	return byte;
}

SEC("?syscall")
__description("a helper that sleeps called in an RCU read section")
__failure
__fault(CONTEXT)
int sleeps_in_rcu_section(void *ctx)
{
	char byte = 0;

	bpf_rcu_read_lock();
	bpf_copy_from_user(&byte, 1, (void *)0x1000);
	bpf_rcu_read_unlock();
	return byte;
}
