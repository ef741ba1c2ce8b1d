#ifndef BPFEMU_FORWARD_BPF_EXPERIMENTAL_H
#define BPFEMU_FORWARD_BPF_EXPERIMENTAL_H

/* The name under which programs ask for it. */
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#endif
