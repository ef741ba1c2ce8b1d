#ifndef BPFEMU_FORWARD_BPF_TRACING_H
#define BPFEMU_FORWARD_BPF_TRACING_H

/* The name under which programs ask for it. */
#include <bpf/bpf_helpers.h>
#include <bpfemu/tracing.h>

#endif
