"""C source → BPF object, with the clang at hand: ``clang`` on PATH, else the ``ziglang`` package.

Our own headers (``vmlinux.h``, ``bpfemu.h``, ``bpf/bpf_helpers.h``, …) are always on the include
path, so that nothing else need be installed.  No absolute path of this machine gets into an
object: the same source gives the same bytes everywhere.

``python -m bpfemu.compile SOURCE [OUTPUT] [CPU]`` does the same from a shell.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bpfemu.errors import InputError
from bpfemu.record import dataclass

if TYPE_CHECKING:
    from subprocess import CompletedProcess

__all__ = ["CPUS", "INCLUDE", "Compiler", "compile_c", "find_compilers"]

INCLUDE: Final = Path(__file__).parent / "include"
"""Where our own headers are."""

CPUS: Final = ("v1", "v2", "v3", "v4")
"""Instruction set versions that clang can be told to stay within (-mcpu)."""

SYSTEM_INCLUDE: Final = tuple(
    f"/usr/include/{machine}-linux-gnu" for machine in ("x86_64", "aarch64", "riscv64")
)
"""Where Debian and its kin keep the asm/ headers that linux/bpf.h wants."""

NEWEST_CLANG: Final = 23
OLDEST_CLANG: Final = 12  # the first with every builtin that our headers use

NO_BACKEND: Final = (
    "unable to create target",
    "unknown target triple",
    "unknown target CPU 'v3'",
    "No available targets",
)
"""What a clang says that was built without BPF (Apple's is)."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """How to start one clang: ``command`` and the name of its BPF target; how to drop DWARF."""

    command: tuple[str, ...]
    target: str
    strip: str | None = None


def find_compilers() -> Iterator[Compiler]:
    """Every clang at hand, best first: $CLANG alone if set, else PATH, else ``ziglang``."""
    from shutil import which

    chosen = os.environ.get("CLANG")
    numbered = [f"clang-{version}" for version in range(NEWEST_CLANG, OLDEST_CLANG - 1, -1)]
    for name in [chosen] if chosen else ["clang", *numbered]:
        path = which(name)
        if path:
            yield Compiler((path,), "bpf", _find_strip(path))
    if not chosen and _has_ziglang():
        yield Compiler((sys.executable, "-m", "ziglang", "cc"), "bpfel-freestanding")


def _has_ziglang() -> bool:
    from importlib.util import find_spec

    return find_spec("ziglang") is not None


def _find_strip(clang: str) -> str | None:
    """The llvm-strip that belongs to a clang: same number behind its name, same folder."""
    from shutil import which

    folder, name = os.path.split(clang)
    suffix = name.removeprefix("clang")
    return which(os.path.join(folder, f"llvm-strip{suffix}")) or which(f"llvm-strip{suffix}")


def compile_c(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    cpu: str = "v3",
    include: Sequence[str | os.PathLike[str]] = (),
) -> Path:
    """Compile a C source to a BPF object with BTF and line info; the object's path.

    ``output`` None puts it into a folder that is removed when the process ends.  ``include`` are
    folders searched before our own.  Warnings go to standard error.  InputError carries the
    compiler's own messages, or says how to get a compiler.
    """
    path = Path(source)
    if cpu not in CPUS:
        raise InputError(f"cpu is {cpu!r}, must be one of {', '.join(CPUS)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file", errno=2)
    target = Path(output) if output is not None else _scratch_folder() / f"{path.stem}.o"
    for compiler in find_compilers():
        done = _start(compiler, path, target, cpu, include)
        if done.returncode == 0:
            sys.stderr.write(done.stderr)
            _drop_dwarf(compiler, target)
            return target
        if not any(words in done.stderr for words in NO_BACKEND):
            raise InputError(f"{path}: {compiler.command[-1]} refused it:\n{done.stderr.rstrip()}")
    if os.environ.get("CLANG"):
        raise InputError(f"{path}: $CLANG is {os.environ['CLANG']!r}, which cannot compile for BPF")
    raise InputError(
        f"{path}: no clang that compiles for BPF; install clang or `pip install bpfemu[clang]`"
    )


def _scratch_folder() -> Path:
    from atexit import register
    from shutil import rmtree
    from tempfile import mkdtemp

    folder = mkdtemp(prefix="bpfemu-")
    register(rmtree, folder, ignore_errors=True)
    return Path(folder)


def _start(
    compiler: Compiler,
    source: Path,
    target: Path,
    cpu: str,
    include: Sequence[str | os.PathLike[str]],
) -> CompletedProcess[str]:
    """Run the compiler in the source's folder, so that line info holds relative names."""
    from subprocess import run

    folder = source.resolve().parent
    command = [
        *compiler.command,
        *("-target", compiler.target, f"-mcpu={cpu}"),
        *("-g", "-O2", "-Wall", "-fno-stack-protector", "-D__TARGET_ARCH_x86"),
        "-fdebug-compilation-dir=.",
        *_include_flags(folder, include),
        *("-c", source.name, "-o", str(target.resolve())),
    ]
    return run(command, cwd=folder, capture_output=True, text=True, check=False)


def _include_flags(folder: Path, include: Sequence[str | os.PathLike[str]]) -> Iterator[str]:
    """-I for the caller's folders and ours, each under a name that says nothing of this machine."""
    for given in (*include, INCLUDE):
        path = Path(given).resolve()
        alias = "bpfemu/include" if path == INCLUDE else os.path.relpath(path, folder)
        yield from ("-I", str(path), f"-fdebug-prefix-map={path}={alias}")
    for system in (*SYSTEM_INCLUDE, "/usr/include"):
        if os.path.isdir(system):
            yield from ("-idirafter", system)


def _drop_dwarf(compiler: Compiler, target: Path) -> None:
    """Line and type information live in .BTF and .BTF.ext; the rest is weight."""
    from subprocess import run

    if compiler.strip:
        run([compiler.strip, "-g", str(target)], capture_output=True, check=False)


def main(arguments: Sequence[str]) -> int:
    """``SOURCE [OUTPUT] [CPU]``; 0, or 2 with a message on standard error."""
    if not 1 <= len(arguments) <= 3:
        print("usage: python -m bpfemu.compile SOURCE [OUTPUT] [CPU]", file=sys.stderr)
        return 2
    source = Path(arguments[0])
    output = arguments[1] if len(arguments) > 1 else source.with_suffix(".o")
    try:
        compile_c(source, output, cpu=arguments[2] if len(arguments) > 2 else "v3")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
