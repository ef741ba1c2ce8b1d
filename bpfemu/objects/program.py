"""The program whose memory is looked at: an emulated kernel, its types and variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.errors import FaultError
from bpfemu.machine.memory import RegionKind
from bpfemu.machine.stop import Trap
from bpfemu.objects.names import parse_type_name
from bpfemu.objects.object import Object
from bpfemu.objects.types import Type, TypeMember

if TYPE_CHECKING:
    from bpfemu.kernel.kernel import Kernel

__all__ = ["Place", "Program"]

Place = tuple[Type, int]
"""The type of a variable and its address."""

_CHUNK = 256  # bytes of a string read at once


class Program:
    """Types by name, variables by name, memory by address.

    ``btfs`` have further types (BPF objects'), ``variables`` are further variables: the type and
    the address of each.
    """

    def __init__(
        self,
        kernel: Kernel,
        btfs: Sequence[Btf] = (),
        variables: Mapping[str, Place] | None = None,
    ) -> None:
        self.kernel = kernel
        self.cache: dict[Any, Any] = {}
        self._btfs = [btf for btf in (kernel.space.layouts.btf, *btfs) if btf is not None]
        self._variables = dict(variables or {})
        self._types: dict[str, Type] = {}
        self._members: dict[tuple[int, int], dict[str, TypeMember]] = {}

    def __repr__(self) -> str:
        return f"<Program of an emulated kernel {self.kernel.config.profile.name}>"

    # ---- types ----------------------------------------------------------------------------------

    def type(self, name: str | Type) -> Type:
        """The type of that name; LookupError when there is none."""
        if isinstance(name, Type):
            return name
        found = self._types.get(name)
        if found is None:
            found = self._types[name] = parse_type_name(name, self._btfs)
        return found

    def pointer_type(self, type: str | Type) -> Type:
        """``T *``."""
        return self.type(type).pointer_to()

    def array_type(self, type: str | Type, length: int) -> Type:
        """``T [length]``."""
        return self.type(type).array_of(length)

    def members_of(self, type: Type) -> Mapping[str, TypeMember]:
        """The members of a struct by name, those of anonymous ones among them."""
        real = type.underlying
        key = id(real.btf), real.id
        found = None if real.derived else self._members.get(key)
        if found is None:
            found = {}
            for member in real.flat_members:
                found.setdefault(member.name or "", member)
            self._members[key] = found
        return found

    # ---- objects --------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Object:
        found = self._find(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def object(self, name: str) -> Object:
        """A variable or constant; LookupError when there is none of that name."""
        found = self._find(name)
        if found is None:
            raise LookupError(f"there is no variable or constant {name!r}")
        return found

    def variable(self, name: str) -> Object:
        """A variable of the kernel, or of the BPF object; LookupError when there is none."""
        found = self._variable(name)
        if found is None:
            raise LookupError(f"there is no variable {name!r}")
        return found

    def constant(self, name: str) -> Object:
        """An enumerator; LookupError when there is none of that name."""
        found = self._constant(name)
        if found is None:
            raise LookupError(f"there is no constant {name!r}")
        return found

    def _find(self, name: str) -> Object | None:
        found = self._variable(name)
        return self._constant(name) if found is None and name else found

    def _variable(self, name: str) -> Object | None:
        found = self._kernel_variable(name) or self._variables.get(name)
        return None if found is None else Object(self, found[0], address=found[1])

    def _kernel_variable(self, name: str) -> Place | None:
        """A variable of the kernel, else of a module; it is put into memory now."""
        placed = self.kernel.services["variables"]
        known = placed.symbols.variables
        for key in sorted(key for key in known if key[1] == name):
            variable = known[key]
            placed.place(variable)
            if variable.spec is not None:
                return self.type(variable.spec.type), variable.addr
            for btf in self._btfs:
                var = btf.type(btf.find(name, k.Var) or 0)
                if isinstance(var, k.Var):
                    return Type(btf, var.type), variable.addr
        return None

    def _constant(self, name: str) -> Object | None:
        for btf in self._btfs:
            if btf.find_string(name) is None:
                continue
            for kind in (k.Enum, k.Enum64):
                for type_id in btf.ids_of(kind):
                    found = btf.type(type_id)
                    for value in getattr(found, "values", ()):
                        if value.name == name:
                            return Object(self, Type(btf, type_id), value.value)
        return None

    def new(self, type: str | Type, **members: Any) -> Object:
        """A new object in the emulated kernel's memory, zero but for the members given."""
        made = self.type(type)
        memory = self.kernel.memory
        region = memory.allocate(
            made.size, RegionKind.OBJECT, f"new {made}", align=max(made.align, 8)
        )
        found = Object(self, made, address=region.addr)
        for name, value in members.items():
            found.member_(name).write_(value)
        return found

    # ---- memory ---------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> bytes:
        """Bytes as the kernel reads them; FaultError with the address where there are none."""
        try:
            return self.kernel.memory.read(int(address), size)
        except Trap as trap:
            raise self._fault(trap, int(address)) from None

    def write(self, address: int, data: bytes) -> None:
        """Write bytes as the kernel does; FaultError where there is nothing to write to."""
        try:
            self.kernel.memory.write(int(address), data)
        except Trap as trap:
            raise self._fault(trap, int(address)) from None

    def read_u8(self, address: int) -> int:
        """One byte."""
        return int.from_bytes(self.read(address, 1), "little")

    def read_u16(self, address: int) -> int:
        """Two bytes."""
        return int.from_bytes(self.read(address, 2), "little")

    def read_u32(self, address: int) -> int:
        """Four bytes."""
        return int.from_bytes(self.read(address, 4), "little")

    def read_u64(self, address: int) -> int:
        """Eight bytes."""
        return int.from_bytes(self.read(address, 8), "little")

    def read_c_string(self, address: int, max_size: int | None = None) -> bytes:
        """Bytes up to the first NUL, at most ``max_size``."""
        out, at = bytearray(), int(address)
        while max_size is None or len(out) < max_size:
            size = _CHUNK if max_size is None else min(_CHUNK, max_size - len(out))
            data = self._as_much(at + len(out), size)
            out += data.partition(b"\0")[0]
            if b"\0" in data:
                break
        return bytes(out)

    def _as_much(self, at: int, size: int) -> bytes:
        """Up to ``size`` bytes; FaultError when not even the first is there."""
        while size > 1:
            try:
                return self.read(at, size)
            except FaultError:
                size //= 2
        return self.read(at, 1)

    @staticmethod
    def _fault(trap: Trap, address: int) -> FaultError:
        fault = trap.fault
        near = f" ({fault.region})" if fault.region else ""
        return FaultError(f"{fault.detail}{near}", address if fault.addr is None else fault.addr)
