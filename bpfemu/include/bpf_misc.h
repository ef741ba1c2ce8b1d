#ifndef BPFEMU_FORWARD_BPF_MISC_H
#define BPFEMU_FORWARD_BPF_MISC_H

/* The name under which programs ask for it. */
#include <bpf/bpf_helpers.h>
#include <bpfemu/tags.h>

#endif
