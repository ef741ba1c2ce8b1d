"""``bpfemu conformance-plugin``: a plugin of the public bpf_conformance runner.

The runner starts one process per test::

    argv[1]   the memory, hex bytes separated by blanks; absent when there is none
    stdin     the program, hex bytes separated by blanks; with --elf an object file, hex or raw,
              linked and run on a kernel if it has maps, data, helpers or several functions
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
from bpfemu.isa.insn import Call, CallSub, Insn
from bpfemu.machine.stop import Stop, StopKind
from bpfemu.object import BpfObject, FuncDef
from bpfemu.record import replace

__all__ = ["conformance", "parse_hex"]

_ELF_MAGIC = b"\x7fELF"
_TEXT = ".text"
_PACKET_TYPES = frozenset({1, 3, 4, 6})  # BPF_PROG_TYPE_SOCKET_FILTER, SCHED_CLS, SCHED_ACT, XDP


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


def _read(data: bytes) -> tuple[BpfObject, FuncDef]:
    """The object on standard input, hex or raw, and the function that is to be run."""
    from bpfemu.elf import read_object

    raw = data if data.startswith(_ELF_MAGIC) else parse_hex(data, "standard input")
    obj = read_object(raw, "standard input")
    return obj, _main_function(obj)


def _main_function(obj: BpfObject) -> FuncDef:
    """``main``; else the first program with a section of its own; else a global function."""
    functions = {func.name: func for func in reversed(obj.functions)}
    if not functions:
        raise InputError("standard input: the object holds no function")
    ranks = sorted(obj.functions, key=lambda f: (f.section == _TEXT, f.binding == "local"))
    return functions.get("main") or ranks[0]


def _needs_kernel(func: FuncDef) -> bool:
    """Does it call what is not in its own code, or refer to maps, data or types?"""
    size = len(func.code)
    calls = any(
        isinstance(insn, Call) or (isinstance(insn, CallSub) and not 0 <= insn.target < size)
        for insn in func.code
    )
    return calls or bool(func.relocs or func.core_relos) or func.section != _TEXT


def _run_object(obj: BpfObject, func: FuncDef, memory: bytes, engine: str) -> Stop:
    """Link the program and run it on a kernel; in ``.text`` it is one of type ``syscall``.

    The memory is the context, of packet programs the packet; r2 is its length all the same.
    """
    from bpfemu.kernel.config import RunOptions
    from bpfemu.session import Options, Session

    if func.section == _TEXT:
        typed = replace(func, section="syscall")
        functions = tuple(typed if one is func else one for one in obj.functions)
        obj = replace(obj, functions=functions)
    session = Session(obj, Options(engine=engine))
    packet = session.load([func.name])[func.name].prog_type in _PACKET_TYPES
    options = RunOptions(data_in=memory or None) if packet else RunOptions(ctx=memory or None)
    assert session.kernel is not None
    machine, args = session.kernel.start(session.images[func.name], options)
    first = args[0] if memory or packet else 0
    return session.kernel.close(session.code(func.name).run(machine, (first, len(memory)))).stop


def _run_code(code: tuple[Insn, ...], memory: bytes, engine: str) -> Stop:
    """Run code with nothing around it."""
    from bpfemu.engine.bare import bare_image, bare_machine
    from bpfemu.engine.base import find_engine

    if not code:
        raise InputError("standard input: there is no program")
    check_targets(code)
    bare = bare_machine(memory)
    return find_engine(engine).prepare(bare_image(code)).run(bare.machine, bare.args)


@click.command("conformance-plugin")
@click.argument("memory", default="")
@click.argument("rest", nargs=-1)
@click.option("--engine", default="interp", show_default=True, help="The engine that runs it.")
@click.option("--elf", is_flag=True, help="Standard input is an object file.")
def conformance(memory: str, rest: tuple[str, ...], engine: str, elf: bool) -> int:
    """Run the program on standard input on MEMORY (hex bytes); print r0 in hex."""
    if any(word.strip() for word in rest):  # the runner hands over its empty plugin options
        raise click.UsageError(f"Got unexpected extra arguments ({' '.join(rest)})")
    data = sys.stdin.buffer.read()
    given = parse_hex(memory, "the memory argument")
    if elf:
        obj, func = _read(data)
        runs = _needs_kernel(func)
        stop = (
            _run_object(obj, func, given, engine) if runs else _run_code(func.code, given, engine)
        )
    else:
        stop = _run_code(decode(parse_hex(data, "standard input")), given, engine)
    if stop.kind is StopKind.EXIT:
        click.echo(f"{stop.r0:x}")
        return 0
    fault = stop.fault
    detail = f"insn {fault.pc}: {fault.kind.value}: {fault.detail}" if fault else stop.kind.value
    click.echo(f"bpfemu: {detail}", err=True)
    return 1
