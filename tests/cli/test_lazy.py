"""Groups made from a table."""

from __future__ import annotations

import click

from bpfemu.cli.lazy import LazyGroup

TABLE = {
    "run": ("bpfemu.cli.run", "run", "Run it."),
    "gone": ("bpfemu.cli.of_another_distribution", "gone", "Not installed."),
}


def test_commands_whose_module_is_missing_are_left_out() -> None:
    group = LazyGroup.of(TABLE)("main")
    context = click.Context(group)

    assert group.list_commands(context) == ["run"]
    assert group.get_command(context, "gone") is None
    assert group.get_command(context, "other") is None
    command = group.get_command(context, "run")
    assert command is not None and command.name == "run"


def test_two_groups_do_not_share_their_tables() -> None:
    first, second = LazyGroup.of(TABLE)("a"), LazyGroup.of({})("b")

    assert first.list_commands(click.Context(first)) == ["run"]
    assert second.list_commands(click.Context(second)) == []
