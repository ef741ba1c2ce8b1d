"""Types and declarations in C: ``struct task_struct *``, ``int (*ops[4])(void *, u64)``.

A C declarator is read from the inside out, so it is written that way too: the name is wrapped in
``*``, ``[n]`` and ``(...)`` while the types are followed, and what remains stands in front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bpfemu.btf import kinds as k
from bpfemu.btf.parse import bad

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfemu.btf.types import Btf

__all__ = ["Speller", "declaration", "prototype", "type_name"]

# Limits that C code stays far below, and hostile BTF does not.
_MOST_STEPS: Final = 4096  # types visited for one declaration
_MOST_TEXT: Final = 1 << 20  # characters of names in it
_NESTING: Final = 32  # functions that take functions
_QUALIFIERS: Final = {k.Const: "const", k.Volatile: "volatile", k.Restrict: "restrict"}


def type_name(btf: Btf, id: int) -> str:
    """Return the type as it stands in a cast."""
    return Speller(btf).declare(id, "")


def declaration(btf: Btf, id: int, varname: str) -> str:
    """Return the declaration of a variable of the type, without the semicolon."""
    return Speller(btf).declare(id, varname)


def prototype(btf: Btf, func_id: int) -> str:
    """Return a FUNC's declaration, without the semicolon."""
    func = btf.type(func_id)
    if not isinstance(func, k.Func):
        raise bad(f"BTF type {func_id} is a {k.KIND_NAMES[func.KIND]}, not a FUNC")
    return Speller(btf).declare(func.type, func.name)


def short_tag(tag: k.TypeTag) -> str:
    """Spell a type tag as the kernel's macros do: ``__rcu``."""
    return f"__{tag.name}"


def tag_name(id: int, found: k.Type) -> str:
    """Name a struct, union or enum; one without a name shows that it has a body."""
    return getattr(found, "name", "") or "{...}"


def tag_word(found: k.Type) -> str:
    """Return the keyword before a tag name."""
    match found:
        case k.Struct() | k.Fwd(is_union=False):
            return "struct"
        case k.Union() | k.Fwd():
            return "union"
        case _:
            return "enum"


class Speller:
    """Spells declarations; how type tags and names look is up to the two functions."""

    def __init__(
        self,
        btf: Btf,
        tag: Callable[[k.TypeTag], str] = short_tag,
        name: Callable[[int, k.Type], str] = tag_name,
    ) -> None:
        self._btf = btf
        self._tag = tag
        self._name = name
        self._steps = 0
        self._text = 0
        self._depth = 0

    def declare(self, id: int, inner: str) -> str:
        """Declare ``inner`` (a name, or nothing) to be of the type."""
        self._text += len(inner)
        before: list[str] = []
        after: list[str] = []
        while True:
            self._step(id)
            found = self._btf.type(id)
            match found:
                case k.Const() | k.Volatile() | k.Restrict():
                    word = _QUALIFIERS[type(found)]
                    if word not in before:
                        before.append(word)
                    id = found.type
                case k.TypeTag():
                    after.append(self._tag(found))
                    id = found.type
                case k.Ptr():
                    words = " ".join([*before, *after])
                    inner = f"*{words}{' ' if words and inner else ''}{inner}"
                    before, after = [], []
                    id = found.type
                case k.Array():
                    inner = f"{_bracket(inner)}[{found.nelems}]"
                    id = found.elem
                case k.FuncProto():
                    inner = f"{_bracket(inner)}({self._params(found)})"
                    before, after = [], []
                    id = found.ret
                case _:
                    words = " ".join([*before, self._base(id, found), *after])
                    self._text += len(words)
                    return words + _gap(inner) + inner

    def _base(self, id: int, found: k.Type) -> str:
        match found:
            case k.Void():
                return "void"
            case k.Int() | k.Float() | k.Typedef():
                return self._name(id, found)
            case k.Struct() | k.Union() | k.Enum() | k.Enum64() | k.Fwd():
                return f"{tag_word(found)} {self._name(id, found)}"
            case _:
                raise bad(f"a BTF {k.KIND_NAMES[found.KIND]} is not a type of C")

    def _params(self, proto: k.FuncProto) -> str:
        params = proto.params[:-1] if proto.variadic else proto.params
        self._depth += 1
        texts = [self.declare(param.type, param.name) for param in params]
        self._depth -= 1
        return ", ".join(texts + ["..."] * proto.variadic) or "void"

    def _step(self, id: int) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS or self._text > _MOST_TEXT or self._depth > _NESTING:
            raise bad(f"BTF type {id}: its declaration has no end")


def _bracket(inner: str) -> str:
    return f"({inner})" if inner.startswith("*") else inner


def _gap(inner: str) -> str:
    return "" if not inner or inner[0] == "[" else " "
