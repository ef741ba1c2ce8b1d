"""``bpfemu prog show FILE`` and ``bpfemu prog dump xlated FILE name P linum opcodes``."""

from __future__ import annotations

import json
from typing import Any

import click

from bpfemu.bind.sections import find_section
from bpfemu.btf import Btf
from bpfemu.cli.console import write
from bpfemu.cli.signature import signature
from bpfemu.cli.words import parse_words
from bpfemu.elf.dwarf import read_producer
from bpfemu.errors import InputError
from bpfemu.image import ProgramImage
from bpfemu.isa.insn import Tail
from bpfemu.kernel.progs.types import PROG_TYPE_NAMES
from bpfemu.session import Options, Session, read

__all__ = ["prog", "xlated"]


@click.group()
def prog() -> None:
    """Look at the programs of an object, in bpftool's words."""


@prog.command()
@click.argument("file", type=click.Path())
@click.option("-j", "--json", "as_json", is_flag=True)
@click.option("-p", "--pretty", is_flag=True, help="Pretty JSON (implies -j).")
def show(file: str, as_json: bool, pretty: bool) -> None:
    """List the programs of FILE: type, name, section, size, maps."""
    obj = read(file)
    with open(obj.path, "rb") as source:
        producer = read_producer(source.read(), obj.path)
    rows = []
    for func in obj.functions:
        if func.section == ".text":
            continue
        row = find_section(func.section.lstrip("?"))
        rows.append(
            {
                "type": PROG_TYPE_NAMES.get(row.prog_type, "unspec") if row else "unspec",
                "name": func.name,
                "section": func.section,
                "gpl_compatible": obj.license.startswith(("GPL", "Dual")),
                "autoload": not func.section.startswith("?"),
                "bytes_xlated": 8 * len(func.code),
                "relocations": len(func.relocs),
                "producer": producer,
            }
        )
    if as_json or pretty:
        click.echo(json.dumps(rows, indent=2 if pretty else None))
        return
    for number, entry in enumerate(rows, 1):
        gpl = "  gpl" if entry["gpl_compatible"] else ""
        write(f"{number}: {entry['type']}  name {entry['name']}{gpl}")
        write(f"\tsection {entry['section']}  xlated {entry['bytes_xlated']}B")
        if producer:
            write(f"\tcompiled by {producer}")


@prog.group()
def dump() -> None:
    """Dump a program's instructions."""


@dump.command("xlated")
@click.argument("file", type=click.Path())
@click.argument("words", nargs=-1)
@click.option("--kernel", default="6.12.0", show_default=True, help="Kernel profile.")
@click.option("--btf", type=click.Path(), help="Take the kernel's types from this file.")
@click.option("-j", "--json", "as_json", is_flag=True)
@click.option("-p", "--pretty", is_flag=True, help="Pretty JSON (implies -j).")
def dump_xlated(
    file: str,
    words: tuple[str, ...],
    kernel: str,
    btf: str | None,
    as_json: bool,
    pretty: bool,
) -> None:
    """Dump a program of FILE after linking and relocation; WORDS: name P, linum, opcodes."""
    asked = parse_words(words, {"name": True, "linum": False, "opcodes": False})
    obj = read(file)
    names = [f.name for f in obj.functions if f.section != ".text"]
    name = asked.get("name") or (names[0] if len(names) == 1 else "")
    if name not in names:
        raise InputError(f"{file}: name one of its programs: {', '.join(names) or 'none'}")
    image = Session(obj, Options(kernel=kernel, btf=btf)).bind(name)
    if as_json or pretty:
        click.echo(json.dumps(xlated_rows(image, "opcodes" in asked), indent=2 if pretty else None))
        return
    for line in xlated(image, obj.btf, linum="linum" in asked, opcodes="opcodes" in asked):
        write(line)


def xlated_rows(image: ProgramImage, opcodes: bool) -> list[dict[str, Any]]:
    """One entry an instruction: slot, text, source line, opcode bytes when asked."""
    from bpfemu.isa.encoding import encode

    rows: list[dict[str, Any]] = []
    code = encode(image.code) if opcodes else b""
    for slot, text in _texts(image):
        row: dict[str, Any] = {"insn": slot, "disasm": text}
        line = image.lines[slot]
        if line:
            row |= {"src": line.text.strip(), "file": line.file, "line": line.line}
        if opcodes:
            row["opcodes"] = code[8 * slot : 8 * slot + 8].hex(" ")
        rows.append(row)
    return rows


def xlated(image: ProgramImage, btf: Btf | None = None, *, linum: bool, opcodes: bool) -> list[str]:
    """The dump as bpftool prints it: function headers, source lines, instructions."""
    from bpfemu.isa.encoding import encode

    code = encode(image.code) if opcodes else b""
    heads = {sub.start: signature(btf, sub.btf_id, sub.name) for sub in image.subprogs}
    out: list[str] = []
    last = None
    for slot, text in _texts(image):
        if slot in heads:
            out.append(f"{heads[slot]}:")
        line = image.lines[slot]
        if line is not None and line != last:
            where = f" [file:{line.file} line_num:{line.line} line_col:{line.column}]"
            out.append(f"; {line.text.strip()}{where if linum else ''}")
            last = line
        out.append(f"{slot:4}: {text}")
        if opcodes:
            size = 16 if slot + 1 < len(image.code) and _is_tail(image, slot + 1) else 8
            out.append("       " + code[8 * slot : 8 * slot + size].hex(" "))
    return out


def _is_tail(image: ProgramImage, slot: int) -> bool:
    return isinstance(image.code[slot], Tail)


def _texts(image: ProgramImage) -> list[tuple[int, str]]:
    from bpfemu.kernel.report import instruction_text

    return [
        (slot, instruction_text(image, slot))
        for slot in range(len(image.code))
        if not _is_tail(image, slot)
    ]
