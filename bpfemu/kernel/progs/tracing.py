"""fentry, fexit, fmod_ret, tp_btf, iter and lsm programs: typed arguments as 64-bit words.

::

    addr - 16        addr - 8         addr            addr + 8·n
    │ function's ip  │ argument count │ arg0 arg1 …   │ return value (fexit, fmod_ret)

The two words in front are the trampoline's (arch/x86/net/bpf_jit_comp.c): bpf_get_func_ip and
bpf_get_func_arg_cnt read them; programs may not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bpfemu.btf import kinds as k
from bpfemu.image import ProgramImage
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.progs.base import Ctx, ProgEnv, number_of, refuse, refuse_packet
from bpfemu.kernel.progs.raw_tracepoint import arguments
from bpfemu.machine.memory import KERNEL, READ_ONLY, RegionKind
from bpfemu.proto.marks import prog_type
from bpfemu.proto.types import Ptr

BPF_TRACE_FEXIT: Final = 25
BPF_MODIFY_RETURN: Final = 26
BPF_LSM_MAC: Final = 27
BPF_TRACE_ITER: Final = 28
HIDDEN: Final = 16  # bytes in front of the arguments
PID_LIMIT: Final = 1 << 32  # numbers below it name a task where a task is wanted
RETURN: Final = "return"  # as bind names it; "ret" is taken for it, too


class _Tracing:
    name = "tracing"

    @classmethod
    def place(cls, env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """The arguments; pointers to a task may be given as its pid, NULL as None.

        What is not given is zero, but for pointers to a task (the current one) and to the
        bpf_iter_meta of iter programs.
        """
        refuse_packet(image, options, cls.name)
        names = [name for name, _ in image.ctx_args]
        placed: tuple[int, ...] = ()
        returns = image.attach_type in (BPF_TRACE_FEXIT, BPF_MODIFY_RETURN, BPF_LSM_MAC)
        if returns and names and RETURN not in names:
            names.append(RETURN)
        if not names or isinstance(options.ctx, bytes | bytearray):
            data = arguments(image, options)
        else:
            given = _by_name(image, names, options.ctx)
            data, placed = _typed(env, image, names, given)
        count = sum(name != RETURN for name in names) or len(data) // 8
        addr = _place(env, data, count)
        return Ctx(addr, env.memory, (addr - HIDDEN, *placed))


@prog_type(26)
class Tracing(_Tracing):
    """BPF_PROG_TYPE_TRACING."""


@prog_type(29)
class Lsm(_Tracing):
    """BPF_PROG_TYPE_LSM."""

    name = "lsm"


def _by_name(image: ProgramImage, names: Sequence[str], given: Any) -> dict[str, object]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        found = {RETURN if name == "ret" else name: value for name, value in given.items()}
        unknown = [name for name in found if name not in names]
        if unknown:
            raise refuse(image, f"{image.attach_to} has no argument {unknown[0]!r}; it has {names}")
        return found
    if len(given) > len(names):
        raise refuse(image, f"{len(given)} arguments are given, {image.attach_to} has {names}")
    return dict(zip(names, given, strict=False))


def _typed(
    env: ProgEnv, image: ProgramImage, names: Sequence[str], given: Mapping[str, object]
) -> tuple[bytes, tuple[int, ...]]:
    """The words, and the addresses of what was placed for them."""
    types = dict(image.ctx_args)
    found, placed = [], []
    for name in names:
        struct = _pointee(image, types.get(name, 0))
        if name not in given and struct == "bpf_iter_meta":
            region = env.memory.allocate(24, RegionKind.OBJECT, "struct bpf_iter_meta")
            placed.append(region.addr)
            found.append(region.addr)
        elif struct == "task_struct":
            found.append(_task(env, image, name, given))
        else:
            found.append(number_of(image, name, given.get(name, 0), 8))
    return b"".join(word.to_bytes(8, "little") for word in found), tuple(placed)


def _pointee(image: ProgramImage, type_id: int) -> str:
    """The name of the struct that an argument points to, "" for anything else."""
    btf = image.kernel_btf
    if btf is None or not type_id:
        return ""
    found = btf.type(btf.resolve(type_id))
    target = btf.type(btf.resolve(found.type)) if isinstance(found, k.Ptr) else None
    return target.name if isinstance(target, k.Struct) else ""


def _task(env: ProgEnv, image: ProgramImage, name: str, given: Mapping[str, object]) -> int:
    if name not in given:
        return int(env.services["tasks"].current)
    number = number_of(image, name, given[name], 8)
    if given[name] is None or isinstance(given[name], Ptr) or number >= PID_LIMIT:
        return number
    task = env.services["tasks"].by_pid(number)
    if not task:
        raise refuse(image, f"{name} is task {number}, which the world does not have")
    return int(task)


def _place(env: ProgEnv, data: bytes, count: int) -> int:
    size = HIDDEN + len(data)
    region = env.memory.allocate(size, RegionKind.CTX, "arguments", state=READ_ONLY)
    env.memory.set_state(region.addr, HIDDEN, KERNEL)
    env.memory.write(region.addr, bytes(8) + count.to_bytes(8, "little") + data)
    return region.addr + HIDDEN
