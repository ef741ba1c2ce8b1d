#ifndef BPFEMU_FORWARD_BPF_CORE_READ_H
#define BPFEMU_FORWARD_BPF_CORE_READ_H

/* The name under which programs ask for it. */
#include <bpf/bpf_helpers.h>
#include <bpfemu/core.h>

#endif
