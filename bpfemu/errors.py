"""Every error that bpfemu raises on purpose, drawn as a tree.

The first question about an error is whose it is: the user's (:class:`InputError`), a definition
author's (:class:`DefinitionError`) or ours (:class:`InternalError`).  What a BPF *program* does
wrong is never an exception: it ends in ``Outcome.fault``.

::

    BpfemuError
    ├── InputError         the file, program or argument is wrong; the user can fix it
    │   ├── ObjectError      ELF or BTF malformed or not supported
    │   ├── DecodeError      not a BPF instruction
    │   ├── BindError        the object wants what this kernel lacks
    │   ├── FaultError       an address that somebody looked at is not mapped
    │   └── ObjectAbsentError  the value of an object that has none
    ├── DefinitionError    a kfunc, helper, map or program type is wrong; its author can fix it
    │   ├── DeclarationError found when it is collected
    │   └── BodyError        its body raised while running
    └── InternalError      an invariant of ours is broken; please report
"""

from __future__ import annotations

__all__ = [
    "BindError",
    "BodyError",
    "BpfemuError",
    "DeclarationError",
    "DecodeError",
    "DefinitionError",
    "FaultError",
    "InputError",
    "InternalError",
    "ObjectAbsentError",
    "ObjectError",
]


class BpfemuError(Exception):
    """Anything bpfemu raises on purpose; ``str()`` names the thing and the value."""


class InputError(BpfemuError):
    """The file, program or argument is wrong; ``errno`` is the kernel's or libbpf's, if any."""

    def __init__(self, message: str, *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


class ObjectError(InputError):
    """ELF or BTF is malformed or not supported.

    ``path`` names the file, ``section`` the section, ``offset`` the byte within it.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        section: str | None = None,
        offset: int | None = None,
        errno: int | None = None,
    ) -> None:
        where = path or ""
        if section:
            where += f"[{section}]" if where else section
        if offset is not None:
            where += f"+{offset:#x}"
        super().__init__(f"{where}: {message}" if where else message, errno=errno)
        self.path = path
        self.section = section
        self.offset = offset


class DecodeError(InputError):
    """Bytes are not a BPF instruction; ``slot`` is where (8-byte units)."""

    def __init__(self, message: str, *, slot: int, errno: int | None = None) -> None:
        super().__init__(f"insn {slot}: {message}", errno=errno)
        self.slot = slot


class BindError(InputError):
    """The object wants what this kernel lacks; ``program`` and ``symbol`` say who and what."""

    def __init__(
        self,
        message: str,
        *,
        program: str | None = None,
        symbol: str | None = None,
        slot: int | None = None,
        errno: int | None = None,
    ) -> None:
        where = program or ""
        if slot is not None:
            where += f" insn {slot}" if where else f"insn {slot}"
        super().__init__(f"{where}: {message}" if where else message, errno=errno)
        self.program = program
        self.symbol = symbol
        self.slot = slot


class FaultError(InputError):
    """Somebody looked at memory that is not there; ``address`` is where."""

    def __init__(self, message: str, address: int) -> None:
        super().__init__(message, errno=14)
        self.address = address


class ObjectAbsentError(InputError):
    """The value of an object was asked for that has none: there is no such variable here."""


class DefinitionError(BpfemuError):
    """A kfunc, helper, map or program type is wrong; its author can fix it."""


class DeclarationError(DefinitionError):
    """A declaration breaks a rule; found when it is collected.  ``name`` is the definition."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"{name}: {rule}")
        self.name = name
        self.rule = rule


class BodyError(DefinitionError):
    """The body of a definition raised while running; the cause is chained."""

    def __init__(self, name: str, cause: BaseException) -> None:
        super().__init__(f"{name}: its body raised {type(cause).__name__}: {cause}")
        self.name = name


class InternalError(BpfemuError):
    """An invariant of bpfemu is broken: our bug, please report it."""
