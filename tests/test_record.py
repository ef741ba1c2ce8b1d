"""Records behave like the standard library's dataclasses, which are the oracle here."""

from __future__ import annotations

import dataclasses
import pickle
from typing import ClassVar

import pytest

from bpfemu import record


@record.dataclass(frozen=True, slots=True)
class Point:
    KIND: ClassVar[int] = 7
    x: int
    y: int = 2
    tags: tuple[str, ...] = record.field(default=(), repr=False, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class StandardPoint:
    KIND: ClassVar[int] = 7
    x: int
    y: int = 2
    tags: tuple[str, ...] = dataclasses.field(default=(), repr=False, compare=False)


@record.dataclass(slots=True)
class Mutable:
    items: list[int] = record.field(default_factory=list)
    total: int = 0

    def __post_init__(self) -> None:
        self.total = sum(self.items)


@record.dataclass(frozen=True, slots=True)
class Child(Point):
    z: int = 3


@pytest.mark.parametrize("args", [(1,), (1, 5), (1, 5, ("a",))])
def test_text_equality_and_hash_are_those_of_dataclasses(args: tuple[object, ...]) -> None:
    ours, theirs = Point(*args), StandardPoint(*args)  # type: ignore[arg-type]

    assert repr(ours) == repr(theirs).replace("StandardPoint", "Point")
    assert ours == Point(*args) and hash(ours) == hash(Point(*args))  # type: ignore[arg-type]
    assert (ours == Point(9)) is (theirs == StandardPoint(9))


def test_fields_left_out_of_comparison_do_not_decide_equality() -> None:
    assert Point(1, 2, ("a",)) == Point(1, 2, ("b",))
    assert Point(1) != (1, 2, ()) and Point(1) != StandardPoint(1)


def test_frozen_records_refuse_assignment_and_deletion() -> None:
    point = Point(1)

    with pytest.raises(AttributeError, match="cannot assign to 'x' of a frozen Point"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot delete 'x'"):
        del point.x


def test_slots_leave_no_dict_and_class_variables_are_not_fields() -> None:
    assert not hasattr(Point(1), "__dict__")
    assert [one.name for one in record.fields(Point)] == ["x", "y", "tags"]
    assert Point.KIND == 7


def test_factories_make_one_object_an_instance_and_post_init_runs() -> None:
    first, second = Mutable(), Mutable([1, 2])

    first.items.append(9)

    assert (first.items, Mutable().items, second.total) == ([9], [], 3)
    assert Mutable.__hash__ is None


def test_wrong_arguments_are_a_type_error_from_the_first_instance_on() -> None:
    @record.dataclass(frozen=True, slots=True)
    class Fresh:
        a: int

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        Fresh()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'b'"):
        Fresh(a=1, b=2)  # type: ignore[call-arg]


def test_replace_pickle_inherit_and_match() -> None:
    child = Child(1, 2, (), 4)

    assert record.replace(child, z=5) == Child(1, 2, (), 5)
    assert pickle.loads(pickle.dumps(child)) == child
    match child:
        case Child(x, _, _, z):
            assert (x, z) == (1, 4)
        case _:
            pytest.fail("Child has match args")
    assert repr(child).endswith("Child(x=1, y=2, z=4)")


@record.dataclass(frozen=True)
class Open:
    """Without slots: defaults are class attributes, as the standard library leaves them."""

    x: int = 4
    many: list[int] = record.field(default_factory=list)
    kept: int = record.field(default=7)


def test_a_record_without_slots_has_a_dict_and_class_defaults() -> None:
    made = Open(many=[1])

    assert vars(made) == {"x": 4, "many": [1], "kept": 7}
    assert (Open.x, Open.kept) == (4, 7) and not hasattr(Open, "many")
    with pytest.raises(AttributeError, match="cannot assign"):
        made.x = 5  # type: ignore[misc]


@record.dataclass(slots=True, eq=False)
class Identity:
    x: int


def test_without_eq_a_record_equals_only_itself() -> None:
    one = Identity(1)

    assert one == one and one != Identity(1) and len({one, Identity(1)}) == 2


def test_a_subclass_that_is_no_record_is_made_like_its_parent() -> None:
    class Named(Point):
        def label(self) -> str:
            return f"{self.x}/{self.y}"

    assert Named(3, 4).label() == "3/4" and Named(3, 4) != Point(3, 4)


def test_a_class_with_its_own_init_is_no_record_any_more() -> None:
    class Own(Mutable):
        def __init__(self) -> None:
            record._first_init(self)

    with pytest.raises(TypeError, match="Own is not a record"):
        Own()


def test_fields_may_be_asked_of_the_class_and_of_an_instance() -> None:
    assert record.fields(Point) == record.fields(Point(1))
    assert [one.repr for one in record.fields(Point)] == [True, True, False]
    assert repr(record.fields(Point)[0].default) == "missing"
