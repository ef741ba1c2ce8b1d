"""Kernel variables: where they are, what they hold, what kallsyms says of them.

::

    … the heap ──▶      ◀── variables of CPU 1 │ of CPU 0 │ per-CPU section │ others │ init_task │
                                                                                      arena end ──┘

Addresses count down from the arena's end and depend on nothing but the kernel's types, the world
and the number of CPUs, so that a program is bound to them before there is a kernel and its image
stays constant.  Those that an image refers to are put there when it is loaded.  As in the kernel,
the address of a per-CPU variable is nobody's: that of a CPU's copy is a fixed distance away, the
same for all variables (``__per_cpu_offset[cpu]``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bpfemu.btf import kinds as k
from bpfemu.errors import InputError
from bpfemu.kernel.symbol_places import place_below
from bpfemu.kernel.variables_btf import PERCPU_SECTION, base_id
from bpfemu.machine.memory import KERNEL, READ_ONLY, Memory, RegionKind
from bpfemu.proto.ctype import ArrayType, CType, IntType, PtrType, StructType, VoidType
from bpfemu.proto.layout import Layouts
from bpfemu.record import dataclass
from bpfemu.world.variables import KernelVariable, default_variables, read_type

if TYPE_CHECKING:
    from bpfemu.kernel.config import KernelConfig
    from bpfemu.kernel.kernel import Kernel
    from bpfemu.proto.space import Space

__all__ = ["TEXT_BASE", "KernelSymbols", "PlacedVariables", "Variable", "place_variables"]

TEXT_BASE: Final = 0xFFFF_FFFF_8100_0000
"""Where functions of the emulated kernel get an address of their own: 16 bytes per BTF id."""

_COUNTED: Final = frozenset({2, 5, 7})  # KPROBE, TRACEPOINT, PERF_EVENT: through trace_call_bpf
_LARGEST: Final = 1 << 30  # bytes of all variables


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable with its address; ``type`` is None where BTF gives only a size."""

    name: str
    addr: int  # u64: what kallsyms says
    size: int  # bytes
    type: CType | None
    type_name: str
    spec: KernelVariable | None
    percpu: bool

    @property
    def module(self) -> str:
        """The module that has it, "" for the kernel."""
        return self.spec.module if self.spec else ""


class KernelSymbols:
    """kallsyms of one kernel.

    ``end`` is where its arena ends.
    """

    def __init__(self, layouts: Layouts, config: KernelConfig, end: int) -> None:
        self._layouts = layouts
        self._cpus = config.cpus
        self._kallsyms = config.kallsyms
        self.stride = 0  # bytes from one CPU's variables to the next one's
        self.variables: dict[tuple[str, str], Variable] = {}  # by module and name
        self._place(self._wanted(config.world.variables if config.world else ()), end)

    # ---- look-ups -------------------------------------------------------------------------------

    def find(self, name: str) -> int | None:
        """kallsyms_lookup_name(): the address that the kernel finds, its own before modules'."""
        known = self._named(name)
        if known and self._kallsyms != "functions":
            return known[0].addr
        return None if known else self._function(name)

    def shown(
        self, name: str, of_module: Callable[[str], int | None] = lambda name: None
    ) -> tuple[int, ...]:
        """What /proc/kallsyms shows a user for a name: every address, or zeros.

        ``of_module`` finds the symbols of modules that are no variables of the world.
        """
        found: list[int | None] = [variable.addr for variable in self._named(name)]
        if not found:
            found = [self._function(name) or of_module(name)]
        elif self._kallsyms == "functions":
            found = []
        shown = [addr for addr in found if addr is not None]
        return tuple(0 if self._kallsyms == "restricted" else addr for addr in shown)

    def _named(self, name: str) -> list[Variable]:
        """The variables of that name, the kernel's own first."""
        keys = sorted(key for key in self.variables if key[1] == name)
        return [self.variables[key] for key in keys]

    def _function(self, name: str) -> int | None:
        btf = self._layouts.btf
        id = btf.find(name, k.Func) if btf is not None else None
        return None if id is None else TEXT_BASE + 16 * id

    def at(self, addr: int) -> Variable | None:
        """The variable whose bytes hold an address (those of no CPU, if it is a per-CPU one)."""
        for variable in self.variables.values():
            if variable.addr <= addr < variable.addr + max(variable.size, 1):
                return variable
        return None

    def around(self, addr: int, gap: int) -> tuple[Variable, int] | None:
        """The variable, or the CPU's copy of one, at or beside an address; the offset from it."""
        for variable in self.variables.values():
            cpus = range(self._cpus) if variable.percpu else ()
            for start in [self.copy(variable.addr, cpu) for cpu in cpus] or [variable.addr]:
                if -gap < addr - start < variable.size + gap:
                    return variable, addr - start
        return None

    def has_data(self, name: str, addr: int) -> bool:
        """Is there a variable of that name, for a symbol that is neither 0 nor a function?"""
        return bool(addr) and addr < TEXT_BASE and bool(self._named(name))

    def copy(self, addr: int, cpu: int) -> int:
        """per_cpu_ptr(): the address on a CPU for one in the per-CPU section."""
        return addr - (cpu + 1) * self.stride

    # ---- the layout -----------------------------------------------------------------------------

    def _wanted(self, own: Sequence[KernelVariable]) -> list[Variable]:
        """Every variable, not placed yet: the kernel's, the world's, what else BTF describes."""
        replaced = {v.name for v in own if not v.module}
        specs = [v for v in default_variables(self._cpus) if v.name not in replaced]
        self.defaults = frozenset(v.name for v in specs)
        if "init_task" in replaced:
            rule = "is the idle task: describe tasks instead"
            raise InputError(f"world.variables: init_task {rule}", errno=22)
        described = [self._described(spec, optional=True) for spec in specs]
        found = [made for made in described if made is not None and not self._differs(made)]
        for spec in own:
            made = self._described(spec, optional=False)
            assert made is not None
            if why := self._differs(made):
                raise InputError(f"variable {spec.name!r}: the kernel's BTF {why}", errno=22)
            found.append(made)
        known = {variable.name for variable in found if not variable.module}
        return found + [v for v in self._undescribed() if v.name not in known]

    def _described(self, spec: KernelVariable, *, optional: bool) -> Variable | None:
        text = read_type(spec.type)
        btf = self._layouts.btf
        id = base_id(btf, text) if btf is not None else None
        if id is None and text.tag and self._layouts.has(text.base):
            ctype: CType = StructType(text.base)
        elif id is None or btf is None:
            if optional:
                return None
            rule = f"the kernel's BTF has no type {spec.type!r}"
            raise InputError(f"variable {spec.name!r}: {rule}", errno=22)
        else:
            ctype = self._layouts.btf_type(id) if id else VoidType()
        for _ in range(text.stars):
            ctype = PtrType(ctype)
        for count in reversed(text.dims):
            ctype = ArrayType(ctype, count)
        size = self._layouts.size_of(ctype)
        percpu = spec.percpu is not False
        name = text.base if not text.stars and not text.dims else ""
        return Variable(spec.name, 0, size, ctype, name, spec, percpu)

    def _differs(self, variable: Variable) -> str:
        """How the kernel's BTF contradicts a description, "" when it does not."""
        btf = self._layouts.btf
        id = btf.find(variable.name, k.Var) if btf is not None and not variable.module else None
        var = btf.type(id) if btf is not None and id else None
        if not isinstance(var, k.Var):
            return ""
        theirs = self._layouts.btf_type(var.type)
        if theirs != variable.type:
            return f"says that its type is {theirs}"
        percpu = any(entry.type == id for entry in self._section())
        if percpu != variable.percpu:
            return f"says that it is {'a' if percpu else 'no'} per-CPU variable"
        return ""

    def _section(self) -> tuple[k.SecVar, ...]:
        """What the kernel's BTF lists as per-CPU variables."""
        btf = self._layouts.btf
        id = btf.find(PERCPU_SECTION, k.DataSec) if btf is not None else None
        section = btf.type(id) if btf is not None and id else None
        return section.entries if isinstance(section, k.DataSec) else ()

    def _undescribed(self) -> Iterable[Variable]:
        """Per-CPU variables that a kernel's BTF has and nobody described: they hold zeros."""
        btf = self._layouts.btf
        for entry in self._section():
            assert btf is not None
            var = btf.type(entry.type)
            if isinstance(var, k.Var):
                name = getattr(btf.type(var.type), "name", "")
                yield Variable(var.name, 0, entry.size, None, name, None, True)

    def _place(self, wanted: list[Variable], end: int) -> None:
        """Give out addresses: init_task last in memory, the per-CPU section before the others."""
        top = end
        for variable in (v for v in wanted if not v.percpu):
            top = self._below(top, variable)
        percpu = [v for v in wanted if v.percpu]
        start = top
        for variable in percpu:
            top = self._below(top, variable)
        self.stride = start - top
        if end - top + self._cpus * self.stride > _LARGEST:
            raise InputError(f"world.variables: more than {_LARGEST} bytes", errno=22)

    def _below(self, top: int, variable: Variable) -> int:
        addr = place_below(top, variable.size)
        self.variables[variable.module, variable.name] = Variable(
            variable.name,
            addr,
            variable.size,
            variable.type,
            variable.type_name,
            variable.spec,
            variable.percpu,
        )
        return addr


def place_variables(kernel: Kernel) -> PlacedVariables:
    """The variables of a kernel; none of them is in its memory yet."""
    memory, services = kernel.memory, kernel.services
    symbols = KernelSymbols(kernel.space.layouts, kernel.config, memory.base + memory.size)
    return PlacedVariables(
        symbols,
        kernel.space,
        kernel.config.cpus,
        kernel.clock.jiffies,
        lambda: int(services["world"].tasks.current),
    )


class PlacedVariables:
    """The variables in memory (service ``variables``); what no image refers to is not there."""

    def __init__(
        self,
        symbols: KernelSymbols,
        space: Space,
        cpus: int,
        jiffies: Callable[[], int],
        current: Callable[[], int],
    ) -> None:
        self.symbols = symbols
        self._space = space
        self._cpus = cpus
        self._jiffies = jiffies
        self._current = current
        self._placed: set[int] = set()

    @property
    def _memory(self) -> Memory:
        return self._space.memory

    def per_cpu(self, addr: int, cpu: int) -> int | None:
        """per_cpu_ptr(): a CPU's copy, 0 without such a CPU; None if that is no such variable."""
        variable = self.symbols.at(addr)
        if variable is None or not variable.percpu or variable.addr not in self._placed:
            return None
        return self.symbols.copy(addr, cpu) if cpu < self._cpus else 0

    def place_all(self, ksyms: Iterable[tuple[str, int, str]]) -> None:
        """Put the variables that an image refers to where they belong; names and addresses.

        InputError when it was bound to those of another kernel.
        """
        for name, addr, _ in ksyms:
            variable = self.symbols.at(addr)
            if variable is not None and variable.name == name:
                self.place(variable)
            elif variable is not None or self.symbols.has_data(name, addr):
                rule = f"variable {name!r} is not at {addr:#x} in this kernel"
                raise InputError(f"{rule}: the program was bound for another one", errno=22)

    def place(self, variable: Variable) -> None:
        """Put a variable (and what its initial value points at) where it belongs, once."""
        if variable.addr in self._placed:
            return
        self._placed.add(variable.addr)
        name = variable.name
        if name == "init_task" and not variable.module:
            self._current()  # the world puts it there
            return
        if not variable.percpu:
            self._fill(variable, variable.addr, name, 0)
            return
        kind = RegionKind.PERCPU
        self._memory.place_last(variable.addr, variable.size, kind, name, KERNEL)
        for cpu in range(self._cpus):
            addr = self.symbols.copy(variable.addr, cpu)
            self._fill(variable, addr, f"{name} of CPU {cpu}", cpu)

    def _fill(self, variable: Variable, addr: int, name: str, cpu: int) -> None:
        kind = RegionKind.PERCPU if variable.percpu else RegionKind.OBJECT
        self._memory.place_last(addr, variable.size, kind, name, READ_ONLY)
        if name.startswith("this_cpu_off of"):
            value: Any = self.symbols.copy(0, cpu) & (1 << 64) - 1
        elif variable.spec is None:
            return
        else:
            value = variable.spec.value_on(cpu)
            if isinstance(value, Mapping) and variable.name in self.symbols.defaults:
                assert variable.type is not None  # other kernels' structs may lack a member
                value = {key: v for key, v in value.items() if self._find(variable.type, key)}
        assert variable.type is not None
        self._write(f"variable {variable.name!r}", addr, variable.type, value)

    def _write(self, where: str, addr: int, ctype: CType, value: Any) -> None:
        """An initial value; what it does not mention is zero."""
        if isinstance(value, str):
            self._space.memory.write_int(addr, 8, self._pointer(where, value[1:]))
        elif isinstance(value, bytes):
            size = self._space.layouts.size_of(ctype)
            if len(value) > size:
                raise InputError(f"{where}: {len(value)} bytes do not fit {size}", errno=22)
            self._memory.write(addr, value)
        elif isinstance(value, Mapping):
            for path, inner in value.items():
                found = self._find(ctype, path)
                if found is None:
                    raise InputError(f"{where}: {ctype} has no member {path!r}", errno=22)
                self._write(f"{where}.{path}", addr + found[0], found[1], inner)
        elif isinstance(value, int):
            if isinstance(ctype, IntType | PtrType):
                self._space.write(addr, ctype, value)
            elif value:
                raise InputError(f"{where} is {value}, but its type is {ctype}", errno=22)
        else:
            self._elements(where, addr, ctype, value)

    def _elements(self, where: str, addr: int, ctype: CType, values: Sequence[Any]) -> None:
        if not isinstance(ctype, ArrayType) or len(values) > ctype.count:
            rule = f"{len(values)} elements do not fit {ctype}"
            raise InputError(f"{where}: {rule}", errno=22)
        size = self._space.layouts.size_of(ctype.elem)
        for index, value in enumerate(values):
            self._write(f"{where}[{index}]", addr + index * size, ctype.elem, value)

    def _find(self, ctype: CType, path: str) -> tuple[int, CType] | None:
        """Offset in bytes and type of a member by path."""
        offset = 0
        for name in str(path).split("."):
            fields = self._space.layouts.of(ctype).fields if isinstance(ctype, StructType) else {}
            if name not in fields:
                return None
            offset, ctype = offset + fields[name].offset, fields[name].type
        return offset, ctype

    def _pointer(self, where: str, name: str) -> int:
        """The address of a variable by name; it is put into memory, too."""
        known = self.symbols.variables.get(("", name))
        if known is None:
            raise InputError(f"{where}: there is no variable {name!r}", errno=22)
        self.place(known)
        return known.addr

    # ---- what the kernel changes ----------------------------------------------------------------

    def begin(self, cpu: int, prog_type: int) -> None:
        """A run begins: time has passed, its task is on its CPU, trace_call_bpf counts it."""
        tracing = prog_type in _COUNTED
        self._set("jiffies", "", 0, self._jiffies)
        self._set("runqueues", "curr", cpu, self._current)
        self._set("bpf_prog_active", "", cpu, lambda: int(tracing))

    def _set(self, name: str, member: str, cpu: int, value: Callable[[], int]) -> None:
        variable = self.symbols.variables.get(("", name))
        if variable is None or variable.addr not in self._placed:
            return
        if variable.type is None or name not in self.symbols.defaults:
            return  # the user's own
        addr = self.symbols.copy(variable.addr, cpu) if variable.percpu else variable.addr
        found = self._find(variable.type, member) if member else (0, variable.type)
        if found is not None:
            self._space.write(addr + found[0], found[1], value())
