"""BTF attach targets: the kernel function or tracepoint a program's section names (notes, 8.5)."""

from __future__ import annotations

from errno import EINVAL, ENAMETOOLONG, ESRCH
from typing import Final

from bpfemu.bind.options import BindOptions
from bpfemu.bind.sections import Section
from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.errors import BindError
from bpfemu.record import dataclass

__all__ = ["Attach", "find_attach"]

_LONGEST: Final = 127  # characters
_PREFIXES: Final = {
    "TRACE_RAW_TP": ("btf_trace_", k.Typedef),
    "LSM_MAC": ("bpf_lsm_", k.Func),
    "LSM_CGROUP": ("bpf_lsm_", k.Func),
    "TRACE_ITER": ("bpf_iter_", k.Func),
}
_PLAIN: Final = ("TRACE_FENTRY", "TRACE_FEXIT", "MODIFY_RETURN", "TRACE_FSESSION")


@dataclass(frozen=True, slots=True)
class Attach:
    """The target and the types of the context's 8-byte arguments.

    ``trusted``: pointers among them are trusted (tp_btf, iter, LSM; not fentry and the like).
    """

    btf_id: int = 0
    args: tuple[tuple[str, int], ...] = ()
    trusted: bool = False


def find_attach(program: str, section: Section, options: BindOptions) -> Attach:
    """Look the target up; an Attach without id for sections that name none."""
    if not section.definition.attach_btf:
        return Attach()

    def refuse(rule: str, errno: int) -> BindError:
        return BindError(rule, program=program, symbol=section.attach_to, errno=errno)

    if section.definition.prog_type == "EXT":
        raise refuse("freplace needs a program to replace, which bpfemu has none of", EINVAL)
    if not section.attach_to:
        rule = f"no BTF-based attach target is specified, use {section.name}/<target>"
        raise refuse(rule, EINVAL)
    attach_type = section.definition.attach_type
    prefix, kind = _PREFIXES.get(attach_type, ("", k.Func))
    module, _, name = section.attach_to.rpartition(":")
    wanted = prefix + name
    if len(wanted) > _LONGEST:
        raise refuse(f"target name of {len(wanted)} characters", ENAMETOOLONG)
    for btf in _searched(options, module):
        id = btf.find(wanted, kind)
        if id is not None:
            return Attach(id, _arguments(btf, id, attach_type), attach_type not in _PLAIN)
    rule = f"failed to find kernel BTF type ID of '{section.attach_to}' ({wanted})"
    raise refuse(rule, ESRCH)


def _searched(options: BindOptions, module: str) -> list[Btf]:
    """vmlinux and the modules; only modules that a prefix names, when there is one."""
    named = [btf for name, btf in options.modules.items() if name.startswith(module)]
    return named if module else [options.kernel_btf, *named]


def _arguments(btf: Btf, id: int, attach_type: str) -> tuple[tuple[str, int], ...]:
    proto = btf.func_proto(id)
    params = [(param.name, param.type) for param in proto.params]
    if attach_type == "TRACE_RAW_TP":
        return tuple(params[1:])  # the first is the tracepoint's own data
    if attach_type in ("TRACE_FEXIT", "MODIFY_RETURN"):
        params.append(("return", proto.ret))
    return tuple(params)
