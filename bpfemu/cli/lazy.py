"""Groups whose commands are imported when they are called: help and start-up stay cheap."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import click

__all__ = ["CommandTable", "LazyGroup"]

CommandTable = Mapping[str, tuple[str, str, str]]
"""Name → (module, attribute, help line)."""


class LazyGroup(click.Group):
    """A group made from a table; rows whose module is not there are left out."""

    table: ClassVar[CommandTable] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the table's order."""
        return [name for name, row in self.table.items() if find_spec(row[0]) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        where = self.table.get(cmd_name)
        if where is None or find_spec(where[0]) is None:
            return None
        command: click.Command = getattr(import_module(where[0]), where[1])
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table's own help lines, so that help imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.table[name][2]) for name in self.list_commands(ctx)])

    @classmethod
    def of(cls, table: CommandTable) -> type[LazyGroup]:
        """The class of a group with these commands."""
        made: Any = type("TableGroup", (cls,), {"table": table})
        return made  # type: ignore[no-any-return]
