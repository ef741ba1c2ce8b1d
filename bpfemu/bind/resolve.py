"""Externs → what the kernel has: kfuncs, symbols, configuration (notes, sections 7.3, 8.8, 9)."""

from __future__ import annotations

from errno import EINVAL

from bpfemu.bind.ksyms import Ksyms, KsymUse
from bpfemu.bind.options import BindOptions
from bpfemu.btf import kinds as k
from bpfemu.btf.compat import essential_name, prototypes_match
from bpfemu.errors import BindError
from bpfemu.image import CallTarget
from bpfemu.isa.ops import Pseudo
from bpfemu.object import BpfObject, Extern

__all__ = ["Externs"]


class Externs:
    """The externs of one object, resolved when asked for."""

    def __init__(self, obj: BpfObject, options: BindOptions) -> None:
        self._by_name = {extern.name: extern for extern in obj.externs}
        self._btf = obj.btf
        self._options = options
        self._btfs = {"": options.kernel_btf, **options.modules}
        self._calls: dict[str, tuple[CallTarget, str]] = {}
        self.ksyms = Ksyms(obj, options, self._btfs)

    def find(self, name: str) -> Extern | None:
        """The extern of that name."""
        return self._by_name.get(name)

    def call(self, program: str, slot: int, extern: Extern) -> tuple[CallTarget, BindError | None]:
        """What a call of the extern calls; with an error when the kernel lacks a strong one."""
        if extern.name not in self._calls:
            self._calls[extern.name] = self._find_kfunc(extern)
        target, why = self._calls[extern.name]
        if not target.poisoned or extern.weak:
            return target, None
        rule = f"extern (func ksym) {why}"
        return target, BindError(rule, program=program, symbol=extern.name, slot=slot, errno=EINVAL)

    def _find_kfunc(self, extern: Extern) -> tuple[CallTarget, str]:
        """The target, poisoned with a reason when there is none."""
        name = essential_name(extern.name)
        spec = self._options.catalog.find_kfunc(name, self._options.profile)
        module, id = self._find_func(name)
        why = ""
        if id is None:
            why = f"{extern.name!r}: not found in kernel or module BTFs"
        elif spec is None:
            why = f"{extern.name!r}: kernel {self._options.profile.name} has no kfunc {name!r}"
        elif self._btf is not None:
            differs = prototypes_match(self._btf, extern.type_id, self._btfs[module], id)
            if differs:
                proto = getattr(self._btf.type(extern.type_id), "type", 0)
                why = f"{extern.name!r}: func_proto [{proto}] incompatible with {name} [{id}]"
                why = f"{why}: {differs}"
        if why:
            text = f"kfunc '{extern.name}' is referenced but wasn't resolved"
            return CallTarget(extern.name, None, True, f"<invalid kfunc call> {text} ({why})"), why
        return CallTarget(name, spec, btf_id=id or 0, module=module), ""

    def _find_func(self, name: str) -> tuple[str, int | None]:
        for module, btf in self._btfs.items():
            id = btf.find(name, k.Func)
            if id is not None:
                return module, id
        return "", None

    def encode(self, program: str, slot: int, extern: Extern) -> tuple[Pseudo, int]:
        """The immediate load of a symbol's address; BindError when a strong one is not there."""
        if extern.kind != "kfunc":
            return self.ksyms.encode(KsymUse(program, slot, extern.name), extern)
        target, error = self.call(program, slot, extern)
        if error is not None:
            raise error
        return self.ksyms.encode_function(target)
