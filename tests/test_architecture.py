"""Who may import whom; no cycles; one file per third-party package; sizes; what must be tested."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VOCABULARIES = {"isa", "btf", "machine", "proto", "world"}
STATIONS = {"object", "image", "outcome"}

MAY_IMPORT = {
    "errors": set(),
    "record": set(),
    "hashing": set(),
    "isa": {"errors"},
    "btf": {"errors"},
    "machine": {"errors"},
    "proto": {"errors", "machine", "btf"},
    "world": {"errors", "proto"},
    "object": {"isa", "btf"},
    "image": {"isa", "btf", "proto", "machine", "object"},
    "outcome": {"machine"},
    "elf": {"errors", "object"} | VOCABULARIES,
    "bind": {"errors", "object", "image"} | VOCABULARIES,
    "kernel": {"errors", "image", "object", "outcome"} | VOCABULARIES,
    "engine": {"errors", "isa", "machine", "image"},
    "compile": {"errors"},
    "session": {"errors", "compile", "elf", "bind", "kernel", "engine"} | VOCABULARIES | STATIONS,
    "objects": {"errors", "image"} | VOCABULARIES,
    "helpers": {"errors", "objects"} | VOCABULARIES,
    "skeleton": {"errors", "session", "kernel", "objects"} | VOCABULARIES | STATIONS,
    "cli": {"errors", "session", "skeleton", "compile", "bind", "kernel", "engine", "elf"}
    | VOCABULARIES
    | STATIONS,
    "pytest_plugin": {"errors", "session", "skeleton", "testing"} | VOCABULARIES | STATIONS,
    "testing": {"errors", "session", "skeleton", "kernel"} | VOCABULARIES | STATIONS,
    "kfuncs": {"proto", "world"},
    "modules": {"proto", "world"},
}

THIRD_PARTY = {"elftools", "click", "rich", "capstone", "unicorn", "pytest", "ziglang"}
MAY_BE_IN = {
    "elftools": {"bpfemu/elf/dwarf.py"},
    "rich": {"bpfemu/cli/console.py"},
    "click": {p.relative_to(ROOT).as_posix() for p in (ROOT / "bpfemu/cli").glob("*.py")},
    "pytest": {"bpfemu/pytest_plugin.py", "bpfemu/testing.py"},
}

LONG_FILES: dict[str, str] = {}  # file: reason


def sources() -> list[Path]:
    return sorted([*(ROOT / "bpfemu").rglob("*.py"), *(ROOT / "kfuncs").rglob("*.py")])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] if parts[0] == "kfuncs" else (parts[1] if len(parts) > 1 else "bpfemu")


def imports(tree: ast.AST) -> Iterator[str]:
    """Every imported module, those under TYPE_CHECKING left out."""
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module or ""
            if node.module == "bpfemu":
                names = (alias.name for alias in node.names)
                yield from (f"bpfemu.{name}" for name in names if name in MAY_IMPORT)


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_a_file_imports_only_what_its_room_may(path: Path) -> None:
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    assert room in MAY_IMPORT, f"{path}: the room {room!r} is not in the table"
    for module in imports(ast.parse(path.read_text())):
        top, _, rest = module.partition(".")
        if top == "bpfemu" and rest:
            other = rest.split(".")[0]
            if other in ("record", "hashing"):
                continue
            assert other == room or other in MAY_IMPORT[room], f"{path}: {room} imports {other}"
        elif top == "dataclasses":
            pytest.fail(f"{path}: dataclasses cost start-up; use bpfemu.record")
        elif top == "kfuncs":
            assert room == "kfuncs", f"{path}: kfuncs are found by name, never imported"
        elif top in THIRD_PARTY:
            allowed = MAY_BE_IN.get(top, set())
            assert name_of(path) in allowed, f"{path}: {top} belongs in {sorted(allowed)}"


def test_the_table_of_rooms_has_no_cycle() -> None:
    done: set[str] = set()
    while len(done) < len(MAY_IMPORT):
        ready = {room for room, uses in MAY_IMPORT.items() if room not in done and uses <= done}
        assert ready, f"a cycle among {sorted(set(MAY_IMPORT) - done)}"
        done |= ready


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    if name_of(path) not in LONG_FILES:
        assert text.count("\n") <= 400, f"{path}: over 400 lines: two ideas in one file?"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 40, f"{path}:{node.lineno} {node.name} is {length} lines long"


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_what_is_public_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree), f"{path} has no docstring"
    for node in public(tree):
        assert ast.get_docstring(node), f"{path}:{node.lineno} {node.name} has no docstring"


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public functions and classes of a module, and the public methods of public classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                    yield inner


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_nothing_is_left_to_do(path: Path) -> None:
    text = path.read_text()
    for word in ("TODO", "FIXME", "XXX", "NotImplementedError"):
        assert word not in text, f"{path}: {word}"
