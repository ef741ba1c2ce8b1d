"""``bpfemu conformance-plugin``: a plugin of the public bpf_conformance runner.

The runner starts one process per test::

    argv[1]   the memory, hex bytes separated by blanks; absent when there is none
    stdin     the program, hex bytes separated by blanks; with --elf an object file, hex or raw
    stdout    r0 in hex, exit status 0
    stderr    what went wrong, exit status 1 (the program faulted) or 2 (it is not a program)

r1 points at the memory, r2 is its length; without memory both are 0.
"""

from __future__ import annotations

import sys
from string import hexdigits

import click

from bpfemu.errors import InputError
from bpfemu.isa.encoding import check_targets, decode
from bpfemu.isa.insn import Insn
from bpfemu.machine.stop import StopKind
from bpfemu.object import BpfObject, FuncDef

__all__ = ["conformance", "parse_hex"]

_ELF_MAGIC = b"\x7fELF"


def parse_hex(text: str | bytes, what: str) -> bytes:
    """Bytes from hex digits, blanks between bytes or not; InputError names the word that is not."""
    words = (text if isinstance(text, str) else text.decode("latin-1")).split()
    try:
        return bytes.fromhex("".join(words))
    except ValueError:
        wrong = next((word for word in words if not _is_hex(word)), "".join(words))
        raise InputError(f"{what}: {wrong[:40]!r} is not hex bytes") from None


def _is_hex(word: str) -> bool:
    return len(word) % 2 == 0 and all(digit in hexdigits for digit in word)


def _object_code(data: bytes) -> tuple[Insn, ...]:
    """The code of the program in an object file: ``main``, or the first function there is."""
    from bpfemu.elf import read_object

    raw = data if data.startswith(_ELF_MAGIC) else parse_hex(data, "standard input")
    obj = read_object(raw, "standard input")
    func = _main_function(obj)
    if func.relocs or func.core_relos:
        names = ", ".join(sorted({reloc.symbol.name for reloc in func.relocs})) or "CO-RE"
        raise InputError(f"{func.name}: refers to {names}, but runs without a kernel")
    check_targets(func.code)
    return func.code


def _main_function(obj: BpfObject) -> FuncDef:
    functions = {func.name: func for func in reversed(obj.functions)}
    if not functions:
        raise InputError("standard input: the object holds no function")
    return functions.get("main") or obj.functions[0]


@click.command("conformance-plugin")
@click.argument("memory", default="")
@click.argument("rest", nargs=-1)
@click.option("--engine", default="interp", show_default=True, help="The engine that runs it.")
@click.option("--elf", is_flag=True, help="Standard input is an object file.")
def conformance(memory: str, rest: tuple[str, ...], engine: str, elf: bool) -> int:
    """Run the program on standard input on MEMORY (hex bytes); print r0 in hex."""
    from bpfemu.engine.bare import bare_image, bare_machine
    from bpfemu.engine.base import find_engine

    if any(word.strip() for word in rest):  # the runner hands over its empty plugin options
        raise click.UsageError(f"Got unexpected extra arguments ({' '.join(rest)})")
    data = sys.stdin.buffer.read()
    code = _object_code(data) if elf else decode(parse_hex(data, "standard input"))
    if not code:
        raise InputError("standard input: there is no program")
    bare = bare_machine(parse_hex(memory, "the memory argument"))
    stop = find_engine(engine).prepare(bare_image(code)).run(bare.machine, bare.args)
    if stop.kind is StopKind.EXIT:
        click.echo(f"{stop.r0:x}")
        return 0
    fault = stop.fault
    detail = f"insn {fault.pc}: {fault.kind.value}: {fault.detail}" if fault else stop.kind.value
    click.echo(f"bpfemu: {detail}", err=True)
    return 1
