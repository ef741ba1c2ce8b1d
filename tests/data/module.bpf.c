// SPDX-License-Identifier: (Apache-2.0 OR BSD-3-Clause)
/* Programs that call kernel functions of a module: one that must be there, one that may be. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

int module_add(int a, int b) __ksym;
int module_double(int a) __ksym __weak;

SEC("syscall")
int strong(void *ctx)
{
	return module_add(40, 2);
}

SEC("syscall")
int weak(void *ctx)
{
	if (bpf_ksym_exists(module_double))
		return module_double(21);
	return 7;
}
