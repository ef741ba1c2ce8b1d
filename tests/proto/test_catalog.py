"""The kernel's registration rules for iterators, and a catalog's look-ups."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bpfemu.errors import DeclarationError, InputError
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.decl import Enumeration, int_
from bpfemu.proto.flags import (
    KF_ITER_DESTROY,
    KF_ITER_NEW,
    KF_ITER_NEXT,
    KF_RET_NULL,
    KF_SLEEPABLE,
)
from bpfemu.proto.marks import helper, kfunc, map_type, prog_type
from bpfemu.proto.profile import find_profile
from bpfemu.proto.types import NULL, Ptr, Struct, s32, u32, u64, void


class bpf_iter_good(Struct):
    state: u64


class bpf_iter_bare(Struct):
    """No members: nothing for the stack."""


class bpf_iter_four(Struct):
    state: u32


class bpf_iter_twelve(Struct):
    a: u32
    b: u32
    c: u32


class iter_good(Struct):
    state: u64


class bpf_iter_opaque(Struct, opaque=True):
    state: u32


# ---- verifier-rules, section 2.1: what btf_check_iter_kfuncs demands --------------------


@kfunc(KF_ITER_NEW)
def bpf_iter_good_new(it: Ptr[bpf_iter_good], start: int_, end: int_) -> int_:
    """Begin."""


@kfunc(KF_ITER_NEXT | KF_RET_NULL)
def bpf_iter_good_next(it: Ptr[bpf_iter_good]) -> Ptr[int_]:
    """Step."""
    return NULL


@kfunc(KF_ITER_DESTROY)
def bpf_iter_good_destroy(it: Ptr[bpf_iter_good]) -> None:
    """End."""


GOOD = (bpf_iter_good_new, bpf_iter_good_next, bpf_iter_good_destroy)


def test_a_family_that_keeps_the_rules_is_taken() -> None:
    catalog = Catalog.of(*GOOD)

    assert sorted(catalog.kfuncs) == [
        "bpf_iter_good_destroy",
        "bpf_iter_good_new",
        "bpf_iter_good_next",
    ]


def test_ret_null_is_not_demanded_of_next_nor_a_type_of_new() -> None:
    @kfunc(KF_ITER_NEXT | KF_SLEEPABLE)
    def bpf_iter_good_next(it: Ptr[bpf_iter_good]) -> Ptr[void]: ...

    @kfunc(KF_ITER_NEW)
    def bpf_iter_good_new(it: Ptr[bpf_iter_good]) -> None: ...

    assert len(Catalog.of(bpf_iter_good_new, bpf_iter_good_next, bpf_iter_good_destroy).kfuncs) == 3


def test_an_opaque_iterator_fills_whole_slots_whatever_its_members() -> None:
    @kfunc(KF_ITER_NEW)
    def bpf_iter_opaque_new(it: Ptr[bpf_iter_opaque]) -> int_: ...

    with pytest.raises(DeclarationError, match="lacks bpf_iter_opaque_next"):
        Catalog.of(bpf_iter_opaque_new)  # past the size rule: only its family is missing


def no_params() -> int_: ...
def scalar_first(it: u64) -> int_: ...
def void_first(it: Ptr[void]) -> int_: ...
def scalar_pointer(it: Ptr[u64]) -> int_: ...
def pointer_pointer(it: Ptr[Ptr[bpf_iter_good]]) -> int_: ...
def bad_prefix(it: Ptr[iter_good]) -> int_: ...
def size_zero(it: Ptr[bpf_iter_bare]) -> int_: ...
def size_four(it: Ptr[bpf_iter_four]) -> int_: ...
def size_twelve(it: Ptr[bpf_iter_twelve]) -> int_: ...
def any_new(it: Ptr[bpf_iter_good]) -> int_: ...
def one_more(it: Ptr[bpf_iter_good], more: u64) -> Ptr[int_]: ...
def a_number(it: Ptr[bpf_iter_good]) -> int_: ...
def a_pointer(it: Ptr[bpf_iter_good]) -> Ptr[int_]: ...
def nothing(it: Ptr[bpf_iter_good]) -> None: ...
def more_nothing(it: Ptr[bpf_iter_good], more: u64) -> None: ...


STRUCT = "its first argument must be a pointer to its iterator struct"
SLOTS = "an iterator fills whole 8-byte stack slots"
NEW, NEXT, DESTROY = KF_ITER_NEW, KF_ITER_NEXT, KF_ITER_DESTROY


@pytest.mark.parametrize(
    ("flags", "body", "name", "rule"),
    [
        (NEW | NEXT, any_new, "", "has more than one of KF_ITER_NEW, _NEXT and _DESTROY"),
        (NEXT | DESTROY, any_new, "", "has more than one of KF_ITER_NEW, _NEXT and _DESTROY"),
        (NEW | NEXT | DESTROY, any_new, "", "has more than one of KF_ITER_NEW, _NEXT and _DESTROY"),
        (NEW, no_params, "", STRUCT),
        (NEW, scalar_first, "", STRUCT),
        (NEW, void_first, "", STRUCT),
        (NEXT, scalar_pointer, "", STRUCT),
        (DESTROY, pointer_pointer, "", STRUCT),
        (NEW, bad_prefix, "iter_good_new", "struct iter_good must be named bpf_iter_<type>"),
        (NEW, size_zero, "bpf_iter_bare_new", f"sizeof(bpf_iter_bare) is 0; {SLOTS}"),
        (NEW, size_four, "bpf_iter_four_new", f"sizeof(bpf_iter_four) is 4; {SLOTS}"),
        (NEW, size_twelve, "bpf_iter_twelve_new", f"sizeof(bpf_iter_twelve) is 12; {SLOTS}"),
        (NEW, any_new, "bpf_iter_good_create", "must be named bpf_iter_good_new"),
        (NEW, any_new, "bpf_iter_good_next", "must be named bpf_iter_good_new"),
        (NEXT, a_pointer, "bpf_iter_better_next", "must be named bpf_iter_good_next"),
        (DESTROY, nothing, "bpf_iter_good_free", "must be named bpf_iter_good_destroy"),
        (NEXT, one_more, "bpf_iter_good_next", "takes only the iterator; just new has more"),
        (DESTROY, more_nothing, "bpf_iter_good_destroy", "takes only the iterator; just new"),
        (NEXT, a_number, "bpf_iter_good_next", "next must return a pointer"),
        (NEXT, nothing, "bpf_iter_good_next", "next must return a pointer"),
        (DESTROY, a_number, "bpf_iter_good_destroy", "destroy must return nothing"),
        (DESTROY, a_pointer, "bpf_iter_good_destroy", "destroy must return nothing"),
    ],
)
def test_a_broken_registration_rule_is_named(  # type: ignore[no-untyped-def]
    flags: int, body, name: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "__bpf_mark__", None, raising=False)
    monkeypatch.setattr(body, "__name__", name or body.__name__)

    with pytest.raises(DeclarationError) as caught:
        Catalog.of(kfunc(flags)(body))

    assert str(caught.value).startswith(f"{name or body.__name__}: {rule}")


def test_functions_without_iterator_flags_may_look_like_anything() -> None:
    @kfunc()
    def bpf_iter_four_next(it: Ptr[bpf_iter_four], more: u64) -> s32: ...

    assert "bpf_iter_four_next" in Catalog.of(bpf_iter_four_next).kfuncs


@pytest.mark.parametrize(
    ("kept", "lacks"),
    [
        (GOOD[:1], "bpf_iter_good_next"),
        (GOOD[:2], "bpf_iter_good_destroy"),
        (GOOD[1:], "bpf_iter_good_new"),
        ((GOOD[0], GOOD[2]), "bpf_iter_good_next"),
    ],
)
def test_an_incomplete_family_is_refused(kept, lacks: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DeclarationError, match=f"its family lacks {lacks}$"):
        Catalog.of(*kept)


# ---- collecting -------------------------------------------------------------------------


def test_two_helpers_with_one_number_are_refused() -> None:
    @helper(900)
    def bpf_first(a: u64) -> u64: ...

    @helper(900)
    def bpf_second(a: u64) -> u64: ...

    with pytest.raises(DeclarationError, match=r"^bpf_second: has the number of bpf_first$"):
        Catalog.of(bpf_first, bpf_second)


def test_everything_that_is_marked_is_collected_by_its_key() -> None:
    class color(Enumeration):
        RED = 0

    class pid_t(int_):
        """A typedef."""

    class other(Struct, name="c_name"):
        a: u32

    @map_type(77)
    class odd_map: ...

    @prog_type(88)
    class odd_prog: ...

    def unmarked() -> None: ...

    catalog = Catalog.of(color, pid_t, other, odd_map, odd_prog, unmarked, Struct)

    assert catalog.types == {"color": color, "pid_t": pid_t}
    assert catalog.structs == {"c_name": other}
    assert catalog.map_types == {77: odd_map} and catalog.prog_types == {88: odd_prog}
    assert catalog.kfuncs == {} and catalog.helpers == {}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


KFUNC = """
from bpfemu.proto.marks import kfunc
from bpfemu.proto.types import Struct, u64
@kfunc()
def {name}(a: u64) -> u64:
    return a
"""


def test_a_discovery_walks_packages_to_any_depth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {
        "deep_pkg/__init__.py": KFUNC.format(name="bpf_root"),
        "deep_pkg/one.py": KFUNC.format(name="bpf_one"),
        "deep_pkg/sub/__init__.py": KFUNC.format(name="bpf_sub"),
        "deep_pkg/sub/two.py": KFUNC.format(name="bpf_two"),
        "deep_pkg/sub/borrowed.py": "from deep_pkg.one import bpf_one, u64\n",
        "deep_pkg/data/three.py": KFUNC.format(name="bpf_no_package"),
        "deep_pkg/notes.txt": "not Python",
    }
    write(tmp_path, text)
    monkeypatch.syspath_prepend(str(tmp_path))

    catalog = Catalog.discover("deep_pkg")

    assert sorted(catalog.kfuncs) == ["bpf_one", "bpf_root", "bpf_sub", "bpf_two"]
    assert len(catalog.kfuncs["bpf_one"]) == 1  # once, where it was defined
    assert sys.modules["deep_pkg.one"].bpf_one is catalog.kfuncs["bpf_one"][0].body


def test_a_module_alone_is_discovered_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"lone_module.py": KFUNC.format(name="bpf_lone")})
    monkeypatch.syspath_prepend(str(tmp_path))

    assert list(Catalog.discover("lone_module").kfuncs) == ["bpf_lone"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", r"importing it raised SyntaxError: invalid syntax \(broken_0\.py, line 1\)$"),
        ("\n1 / 0\n", r"ZeroDivisionError: division by zero \(.*broken_1\.py, line 2\)$"),
        ("import no_such_thing\n", r"ModuleNotFoundError: No module named 'no_such_thing' \("),
        ("from errno import ENOSUCH\n", r"ImportError: cannot import name 'ENOSUCH' from 'errno'"),
        (KFUNC.format(name="x") + "u64(1, 2)\n", r"TypeError: .* \(.*broken_4\.py, line 7\)$"),
    ],
)
def test_a_module_that_cannot_be_imported_is_its_authors_error(
    text: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    name = f"broken_{request.node.callspec.indices['text']}"
    write(tmp_path, {f"{name}.py": text})
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(DeclarationError, match=message) as caught:
        Catalog.discover(name)
    assert caught.value.name == name and caught.value.__cause__ is not None


def test_errors_of_ours_pass_through_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from bpfemu.errors import InputError\nraise InputError('told by the module')\n"
    write(tmp_path, {"telling.py": text})
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(InputError, match=r"^told by the module$"):
        Catalog.discover("telling")


def test_a_package_that_is_not_there_is_no_authors_error() -> None:
    for name in ("no_such_package", "kfuncs.no_such_module", "no_such.package"):
        with pytest.raises(ModuleNotFoundError):
            Catalog.discover(name)


# ---- several definitions of one name ----------------------------------------------------


def versions():  # type: ignore[no-untyped-def]
    @kfunc(since=(6, 4), until=(6, 18, 33))
    def bpf_thing(a: u64) -> u64: ...

    old = bpf_thing

    @kfunc(since=(6, 18, 33))
    def bpf_thing(a: u32) -> u64: ...

    return old, bpf_thing


@pytest.mark.parametrize(
    ("profile", "which"), [("6.7", 0), ("6.12.0", 0), ("6.18.0", 0), ("6.18.44", 1)]
)
def test_the_profile_chooses_by_version(profile: str, which: int) -> None:
    bodies = versions()
    catalog = Catalog.of(*bodies)

    found = catalog.find_kfunc("bpf_thing", find_profile(profile))

    assert found is not None and found.body is bodies[which]
    assert catalog.select(find_profile(profile)) == {"bpf_thing": found}


def test_the_profile_chooses_by_feature() -> None:
    @kfunc(feature="task_vma_mmap_lock")
    def bpf_thing(a: u64) -> u64: ...

    locked = bpf_thing

    @kfunc(feature="task_vma_snapshot")
    def bpf_thing(a: u64) -> u64: ...

    catalog = Catalog.of(locked, bpf_thing)

    for name, body in (("6.12.0", locked), ("6.18.44", bpf_thing)):
        found = catalog.find_kfunc("bpf_thing", find_profile(name))
        assert found is not None and found.body is body


def test_a_kernel_that_is_too_old_or_too_new_has_none() -> None:
    @kfunc(since=(6, 13))
    def bpf_later(a: u64) -> u64: ...

    @kfunc(until=(6, 12))
    def bpf_earlier(a: u64) -> u64: ...

    catalog = Catalog.of(bpf_later, bpf_earlier)

    assert catalog.select(find_profile("6.12.0")) == {}
    assert list(catalog.select(find_profile("6.7"))) == ["bpf_earlier"]
    assert list(catalog.select(find_profile("6.18.0"))) == ["bpf_later"]
    assert catalog.find_kfunc("bpf_nowhere", find_profile("6.7")) is None


# ---- one catalog on top of another ------------------------------------------------------


def test_the_other_catalogs_definitions_win() -> None:
    @kfunc()
    def bpf_thing(a: u64) -> u64: ...

    first = bpf_thing

    @kfunc()
    def bpf_thing(a: u64) -> u64: ...

    @helper(900)
    def bpf_help(a: u64) -> u64: ...

    below, above = Catalog.of(first, bpf_help, bpf_iter_good), Catalog.of(bpf_thing)

    merged = below.merged(above)

    assert merged.kfuncs["bpf_thing"][0].body is bpf_thing
    assert merged.helpers[900].body is bpf_help and merged.structs == below.structs
    assert below.kfuncs["bpf_thing"][0].body is first  # unchanged


def test_merging_takes_what_a_scan_has_not_imported_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {
        "merge_pkg/__init__.py": "",
        "merge_pkg/calls.py": KFUNC.format(name="bpf_merged"),
        "merge_pkg/shapes.py": (
            "from bpfemu.proto.types import Struct, u64\n\n\n"
            "class only_a_shape(Struct):\n    a: u64\n"
        ),
    }
    write(tmp_path, text)
    monkeypatch.syspath_prepend(str(tmp_path))

    merged = Catalog.scan("merge_pkg").merged(Catalog())

    assert list(merged.kfuncs) == ["bpf_merged"]
    assert "only_a_shape" in merged.structs


def test_a_catalog_equals_only_itself() -> None:
    assert Catalog() != Catalog()
