"""Kernel modules that come with bpfemu: ``modules=("bpf_testmod",)``, ``kernel.modules.load``.

One file per module, named as the module is.  A file imports what the kernel functions of
``kfuncs/`` may import: ``bpfemu.proto``, ``bpfemu.world`` and the standard library.
"""
