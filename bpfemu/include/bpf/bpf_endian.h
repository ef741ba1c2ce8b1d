#ifndef BPFEMU_FORWARD_BPF_ENDIAN_H
#define BPFEMU_FORWARD_BPF_ENDIAN_H

/* The name under which programs ask for it. */
#include <bpfemu/endian.h>

#endif
