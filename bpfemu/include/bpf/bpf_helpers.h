#ifndef BPFEMU_FORWARD_BPF_HELPERS_H
#define BPFEMU_FORWARD_BPF_HELPERS_H

/* The name under which programs ask for it. */
#include <bpfemu/attrs.h>
#include <bpfemu/helpers.h>
#include <bpfemu/printk.h>
#include <bpfemu/kfuncs.h>
#include <bpfemu/iters.h>

#endif
