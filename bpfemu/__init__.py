"""Run real BPF objects with open-coded iterators off the kernel."""
