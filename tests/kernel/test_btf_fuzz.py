"""Mutated modules: whatever a file holds, only clear errors, and the kernel stays as it was."""

from __future__ import annotations

import gzip
import random

import pytest

from bpfemu.btf import Btf
from bpfemu.btf.distill import relocate
from bpfemu.errors import BindError, InputError
from bpfemu.kernel.kfunc_calls import CallerRights, KfuncCalls
from bpfemu.kernel.module_file import ModuleFile, read_module
from bpfemu.kernel.policy import play
from bpfemu.kernel.registration import KfuncId
from bpfemu.proto.flags import KF_ITER_NEW, KF_ITER_NEXT
from tests.kernel.btf_parts import TRACING, broken_module, kernel_btf, plain_module, vmlinux
from tests.kernel.test_module_file import with_ids
from tests.kernel.test_modules import distilled_module

ROUNDS = range(600)
TYPES = vmlinux()


def mutate(data: bytes, seed: int) -> bytes:
    """Flip, cut, grow or repeat a little, always the same for a seed."""
    source = random.Random(seed)
    changed = bytearray(data)
    if seed % 2:  # a word of the types: what the first checks cannot see
        at = 24 + 4 * source.randrange((len(changed) - 24) // 4)
        word = source.choice((0, 1, 2, 5, 8, 9, 11, 30, 0xFFFF, 1 << 24, 12 << 24, 13 << 24 | 1))
        changed[at : at + 4] = word.to_bytes(4, "little")
        return bytes(changed)
    for _ in range(source.randint(1, 4)):
        if not changed:
            break
        at = source.randrange(len(changed))
        match source.randrange(6):
            case 0 | 1:
                changed[at] ^= 1 << source.randrange(8)
            case 2:
                changed[at] = source.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 3:
                del changed[at : at + source.randint(1, 8)]
            case 4:
                changed[at:at] = source.randbytes(source.randint(1, 8))
            case _:
                changed[at : at + 4] = changed[: source.randint(0, 8)]
    return bytes(changed)


@pytest.mark.parametrize("registration", ["eager", "lazy"])
@pytest.mark.parametrize("where", ["builtin", "module"])
def test_a_mutated_module_is_loaded_or_refused_and_leaves_nothing_behind(where, registration):
    base = broken_module(TYPES, "f")
    kernel = kernel_btf(btf_vmlinux=where, kfunc_registration=registration)
    kernel.vmlinux_btf()
    kfuncs = ["f", KfuncId(8, 0), KfuncId(11, KF_ITER_NEW), KfuncId(12, KF_ITER_NEXT)]
    for seed in ROUNDS:
        try:
            kernel.modules.load("mod", mutate(base, seed), kfuncs)
        except InputError as problem:
            assert problem.errno, seed
        else:
            use_everything(kernel)
            kernel.modules.unload("mod")
        assert list(kernel.modules.btfs()) == []
        assert kernel.objects.ids() == [1], seed
        assert kernel.sysfs.listdir() == ["vmlinux"], seed
        assert list(kernel.kfuncs.records("mod")) == []


def use_everything(kernel) -> None:
    """Call every id of the module."""
    module = kernel.modules["mod"]
    fd = kernel.objects.fd_by_id(module.btf.id)
    calls = KfuncCalls(kernel, CallerRights(TRACING), [0, fd])
    for id in range(8, min(module.btf.btf.type_count, 30) + 1):
        try:
            calls.call(id, 1)
        except BindError as problem:
            assert problem.errno
    calls.close()
    kernel.objects.close(fd)
    assert module.references == 0


def test_a_mutated_distilled_base_is_relocated_or_refused():
    data, base = distilled_module()
    for seed in ROUNDS:
        source = random.Random(seed)
        split = mutate(data, seed) if source.random() < 0.5 else data
        under = mutate(base, seed + 1000) if split is data or source.random() < 0.3 else base
        try:
            found = relocate(Btf.parse(split, Btf.parse(under)), TYPES)
        except InputError as problem:
            assert problem.errno, seed
        else:
            assert len(found.btf.raw) == len(split)
            assert found.id(0) == 0


def test_a_mutated_module_file_is_read_or_refused(tmp_path):
    whole = with_ids(
        [("__BTF_ID__set8__a", 1, [(11, 0), (12, 4)])], blob=plain_module(TYPES, "f", "g")
    )
    path = tmp_path / "mod.ko"
    for seed in ROUNDS:
        data = mutate(whole, seed)
        path.write_bytes(mutate(gzip.compress(whole), seed) if seed % 5 == 0 else data)
        try:
            found = read_module(path)
        except InputError as problem:
            assert "mod.ko" in str(problem), seed
        else:
            play([found], TYPES)


def test_mutated_modules_are_explained_under_every_policy():
    base = broken_module(TYPES, "f")
    for seed in range(60):
        file = read_like(mutate(base, seed))
        assert len(play([file], TYPES)) == 4


def read_like(data: bytes) -> ModuleFile:
    from bpfemu.kernel.btf_notifier import ModuleBlob
    from bpfemu.kernel.registration import KfuncSet

    kfuncs = (KfuncId(11), KfuncId(11, KF_ITER_NEW), KfuncId(12, KF_ITER_NEW))
    return ModuleFile("mod", ModuleBlob(data), (KfuncSet("common", kfuncs),))
