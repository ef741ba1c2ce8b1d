"""Records: the part of ``dataclasses`` that bpfemu uses, at a tenth of its cost at start-up.

The standard module imports ``inspect`` and compiles six methods for each class when the class is
made; with some hundred and fifty classes that was most of a cold start (decision 0014).  Here a
class costs next to nothing until it is first instantiated: only then its ``__init__`` is compiled,
and every other method is shared.  ``@dataclass(frozen=…, slots=…, eq=…)``, ``field`` and
``replace`` mean what they mean there; nothing else is offered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

__all__ = ["dataclass", "field", "fields", "replace"]

T = TypeVar("T")
_MISSING: Any = type("missing", (), {"__repr__": lambda self: "missing"})()


class Field:
    """One field of a record."""

    __slots__ = ("compare", "default", "default_factory", "name", "repr")
    init = True  # as pretty-printers of the standard module's classes ask

    def __init__(self, default: Any, default_factory: Any, repr: bool, compare: bool) -> None:
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.repr = repr
        self.compare = compare


def field(
    *,
    default: Any = _MISSING,
    default_factory: Callable[[], Any] | Any = _MISSING,
    repr: bool = True,
    compare: bool = True,
) -> Any:
    """A field with a default, a default made for each instance, or left out of text or ==."""
    return Field(default, default_factory, repr, compare)


def fields(record: Any) -> tuple[Field, ...]:
    """The fields of a record or of its class, in order."""
    return tuple(record.__dataclass_fields__.values())


def replace(record: T, /, **changes: Any) -> T:
    """A copy of a record with some fields changed."""
    cls = type(record)
    values = {name: getattr(record, name) for name in cls.__dataclass_fields__}  # type: ignore[attr-defined]
    values.update(changes)
    return cls(**values)


@dataclass_transform(field_specifiers=(field,))
def dataclass(
    *, frozen: bool = False, slots: bool = False, eq: bool = True
) -> Callable[[type[T]], type[T]]:
    """Make a class a record: ``__init__``, ``==``, ``repr``, pickling from its annotations."""

    def make(cls: type[T]) -> type[T]:
        made: type[T] = _make(cls, frozen, slots, eq)
        return made

    return make


def _make(cls: type[Any], frozen: bool, slots: bool, eq: bool) -> Any:
    own = {
        name: _field(cls, name)
        for name, note in vars(cls).get("__annotations__", {}).items()
        if not str(note).startswith(("ClassVar", "typing.ClassVar"))
    }
    inherited: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        inherited.update(vars(base).get("__dataclass_fields__", {}))
    body = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__")}
    if slots:
        for name in own:
            body.pop(name, None)
        body["__slots__"] = tuple(name for name in own if name not in inherited)
    else:
        for name, one in own.items():
            if one.default_factory is not _MISSING:
                body.pop(name, None)
            elif one.default is not _MISSING:
                body[name] = one.default
    body["__dataclass_fields__"] = {**inherited, **own}
    body.setdefault("__match_args__", tuple(body["__dataclass_fields__"]))
    body["__init__"] = _first_init
    body["__record_frozen__"] = frozen
    body.setdefault("__repr__", _repr)
    body["__reduce__"] = _reduce
    if eq and "__eq__" not in body:
        body["__eq__"] = _eq
        body["__hash__"] = _hash if frozen else None
    if frozen:
        body["__setattr__"] = _refuse_set
        body["__delattr__"] = _refuse_delete
    made: Any = type(cls)(cls.__name__, cls.__bases__, body)  # type: ignore[misc]
    made.__qualname__ = cls.__qualname__
    return made


def _field(cls: type[Any], name: str) -> Field:
    value = vars(cls).get(name, _MISSING)
    one = value if isinstance(value, Field) else Field(value, _MISSING, True, True)
    one.name = name
    return one


def _first_init(self: Any, *args: Any, **kwargs: Any) -> None:
    """Stands in until the first instance is made; then the real one takes its place."""
    for cls in type(self).__mro__:
        if vars(cls).get("__init__") is _first_init:
            init = _compile_init(cls)
            cls.__init__ = init  # type: ignore[misc]
            init(self, *args, **kwargs)
            return
        if "__init__" in vars(cls):
            break
    raise TypeError(f"{type(self).__name__} is not a record")


def _compile_init(cls: type[Any]) -> Callable[..., None]:
    scope: dict[str, Any] = {"_set": object.__setattr__, "_missing": _MISSING}
    params, lines = [], []
    for name, one in cls.__dataclass_fields__.items():
        value = name
        if one.default_factory is not _MISSING:
            scope[f"_make_{name}"] = one.default_factory
            params.append(f"{name}=_missing")
            value = f"_make_{name}() if {name} is _missing else {name}"
        elif one.default is not _MISSING:
            scope[f"_default_{name}"] = one.default
            params.append(f"{name}=_default_{name}")
        else:
            params.append(name)
        if not cls.__record_frozen__:
            lines.append(f"    self.{name} = {value}")
            continue
        descriptor = getattr(cls, name, None) if "__slots__" in vars(cls) else None
        if hasattr(descriptor, "__set__"):
            scope[f"_set_{name}"] = descriptor.__set__  # type: ignore[union-attr]
            lines.append(f"    _set_{name}(self, {value})")
        else:
            lines.append(f"    _set(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("    self.__post_init__()")
    text = f"def __init__(self, {', '.join(params)}):\n" + "\n".join(lines or ["    pass"])
    exec(text, scope)
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _repr(self: Any) -> str:
    shown = (
        f"{name}={getattr(self, name)!r}"
        for name, one in self.__dataclass_fields__.items()
        if one.repr
    )
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _key(self: Any) -> tuple[Any, ...]:
    return tuple(
        [getattr(self, name) for name, one in self.__dataclass_fields__.items() if one.compare]
    )


def _eq(self: Any, other: Any) -> Any:
    if other is self:
        return True
    if type(other) is not type(self):
        return NotImplemented
    return _key(self) == _key(other)


def _hash(self: Any) -> int:
    return hash(_key(self))


def _reduce(self: Any) -> Any:
    return type(self), tuple(getattr(self, name) for name in self.__dataclass_fields__)


def _refuse_set(self: Any, name: str, value: Any) -> None:
    raise AttributeError(f"cannot assign to {name!r} of a frozen {type(self).__name__}")


def _refuse_delete(self: Any, name: str) -> None:
    raise AttributeError(f"cannot delete {name!r} of a frozen {type(self).__name__}")
