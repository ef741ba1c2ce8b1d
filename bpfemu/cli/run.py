"""``bpfemu run FILE [PROG]``: the main job."""

from __future__ import annotations

from typing import Any

import click

from bpfemu.cli.show import outcome_dict, show_outcome
from bpfemu.errors import InputError
from bpfemu.machine.stop import StopKind
from bpfemu.skeleton import ProgView, Skeleton, open_object

__all__ = ["choose_program", "run"]


@click.command()
@click.argument("file", type=click.Path())
@click.argument("program", required=False)
@click.option("--kernel", default="6.12.0", show_default=True, help="Kernel profile.")
@click.option("--btf", type=click.Path(), help="Take the kernel's types from this file.")
@click.option("--engine", default="interp", show_default=True)
@click.option("--seed", default=0, show_default=True, help="Time, randomness and addresses.")
@click.option("--cpus", default=2, show_default=True)
@click.option("--cpu", default=0, show_default=True, help="The CPU to run on.")
@click.option(
    "--context",
    default="task",
    show_default=True,
    help="task, irqoff, softirq, hardirq or nmi.",
)
@click.option("--task-maps", type=click.Path(), help="/proc/PID/maps or smaps of current.")
@click.option("--comm", default="", help="Name of the current task.")
@click.option("--ctx-in", type=click.Path(), help="Bytes of the context.")
@click.option("--data-in", type=click.Path(), help="Bytes of the packet.")
@click.option("--set", "settings", multiple=True, metavar="VAR=VALUE", help="A .rodata variable.")
@click.option("--kconfig", "kconfig", multiple=True, metavar="NAME=VALUE")
@click.option("--kfuncs", "packages", multiple=True, help="A package with further kfuncs.")
@click.option(
    "--kallsyms",
    default="all",
    show_default=True,
    help="What it knows: all, functions, or restricted (users see zeros).",
)
@click.option("--budget", default=1 << 32, help="Instructions at most.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="POINT=SPEC",
    help="Let a fault point fail: <interval>,<probability>,<space>,<times> or name=value,…",
)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def run(
    file: str, program: str | None, as_json: bool, settings: tuple[str, ...], **options: Any
) -> int:
    """Run PROGRAM of FILE (a .bpf.o, or a .bpf.c to compile) on an emulated kernel.

    Exit status 0: it ended by itself and left nothing behind; 1: fault, budget or leak; 2: usage.
    """
    skel = open_object(
        file,
        kernel=options["kernel"],
        btf=options["btf"],
        engine=options["engine"],
        seed=options["seed"],
        cpus=options["cpus"],
        kfuncs=options["packages"],
        kconfig=dict(_pair(text, "--kconfig") for text in options["kconfig"]),
        budget=options["budget"],
        kallsyms=options["kallsyms"],
        faults=_faults(options["faults"]),
        world=_world(options["task_maps"], options["comm"]),
    )
    prog = choose_program(skel, program)
    for other in skel.progs:
        other.autoload = other is prog
    for text in settings:
        _set(skel, *_pair(text, "--set"))
    outcome = prog.run(
        context=options["context"],
        cpu=options["cpu"],
        ctx=_bytes(options["ctx_in"]),
        data_in=_bytes(options["data_in"]),
    )
    if as_json:
        import json

        click.echo(json.dumps(outcome_dict(skel, outcome), indent=2))
    else:
        show_outcome(skel, outcome)
    return 0 if outcome.ok and outcome.stop.kind is not StopKind.BUDGET else 1


def choose_program(skel: Skeleton, name: str | None) -> ProgView:
    """The program meant: by name, or the only one there is."""
    if name is not None:
        found: ProgView = skel.progs[name]
        return found
    if len(skel.progs) != 1:
        names = ", ".join(prog.name for prog in skel.progs) or "none"
        raise InputError(f"{skel.object.path}: name one of its programs: {names}")
    only: ProgView = next(iter(skel.progs))
    return only


def _faults(texts: tuple[str, ...]) -> dict[str, Any]:
    """Attributes by fault point."""
    if not texts:
        return {}
    from bpfemu.kernel.fault_attr import FaultAttr

    pairs = (_pair(text, "--fault") for text in texts)
    return {point: FaultAttr.parse(spec) for point, spec in pairs}


def _world(maps: str | None, comm: str) -> Any:
    if maps is None and not comm:
        return None
    from bpfemu.world.maps import read_maps
    from bpfemu.world.spec import TaskSpec, World

    vmas = read_maps(_text(maps), name=maps) if maps else ()
    return World(tasks=(TaskSpec(pid=1000, comm=comm or "task", vmas=vmas),), current=1000)


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def _bytes(path: str | None) -> bytes | None:
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"{option} {text!r} must be NAME=VALUE")
    return name, value


def _set(skel: Skeleton, name: str, value: str) -> None:
    for view in skel.data_sections.values():
        if name in list(view):
            try:
                setattr(view, name, int(value, 0))
            except ValueError:
                setattr(view, name, value)
            return
    names = [variable for view in skel.data_sections.values() for variable in view]
    raise InputError(f"--set {name}: no such variable; there are {', '.join(names) or 'none'}")
