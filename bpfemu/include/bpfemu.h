#ifndef BPFEMU_H
#define BPFEMU_H

/* Everything a program usually wants, behind vmlinux.h. */
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include <bpfemu/tags.h>

#endif
