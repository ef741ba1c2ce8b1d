"""SARIF 2.1.0: findings in the form that code hosts and editors read.

Only what the standard requires and what such tools show: rules, results with level, message and
place.  Source: OASIS SARIF 2.1.0, sections 3.13 (log), 3.14 (run), 3.19 (tool component), 3.27
(result), 3.29 (physical location).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from bpfemu import __version__

if TYPE_CHECKING:
    from bpfemu.cli.core_check import Finding

__all__ = ["RULES", "core_sarif", "sarif_log", "source_path"]

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"

RULES: Final = {
    "BPFEMU201": ("core-poison", "A CO-RE relocation finds no field, and control reaches it."),
    "BPFEMU202": ("core-error", "A CO-RE relocation keeps the program from being loaded."),
    "BPFEMU203": ("core-link", "The program cannot be linked."),
    "BPFEMU204": ("core-dead", "A CO-RE relocation finds no field, behind a guard."),
}
"""Rule id → (name, what it says)."""


def sarif_log(results: list[dict[str, Any]]) -> dict[str, Any]:
    """A log with one run; results name their rules by id."""
    used = [rule for rule in RULES if any(result["ruleId"] == rule for result in results)]
    for result in results:
        result["ruleIndex"] = used.index(result["ruleId"])
    rules = [
        {"id": rule, "name": RULES[rule][0], "shortDescription": {"text": RULES[rule][1]}}
        for rule in used
    ]
    driver = {"name": "bpfemu", "version": __version__, "rules": rules}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }


def core_sarif(file: str, findings: list[Finding]) -> dict[str, Any]:
    """The relocations that did not come out; those in dead code as notes."""
    results = [_result(file, finding) for finding in findings]
    return sarif_log([result for result in results if result is not None])


def _result(file: str, finding: Finding) -> dict[str, Any] | None:
    row = finding.row
    head = f"{finding.program} on {finding.kernel}: "
    if row is None:
        return _made("BPFEMU203", "error", head + finding.note, _place(file))
    line = row.line
    where = _place(source_path(file, line.file), line.line, line.column) if line else _place(file)
    result = row.result
    if result.error:
        return _made("BPFEMU202", "error", head + result.error, where)
    if not result.poison:
        return None
    rule, level = ("BPFEMU201", "error") if row.reached else ("BPFEMU204", "note")
    return _made(rule, level, f"{head}insn {row.slot}: {result.poison}", where)


def source_path(file: str, source: str) -> str:
    """The source of an object: relative paths are those of where it was compiled, often its folder.

    A path that leads nowhere stays as it is.
    """
    beside = os.path.join(os.path.dirname(file), source)
    return beside if not os.path.exists(source) and os.path.exists(beside) else source


def _made(rule: str, level: str, text: str, place: dict[str, Any]) -> dict[str, Any]:
    return {"ruleId": rule, "level": level, "message": {"text": text}, "locations": [place]}


def _place(path: str, line: int = 0, column: int = 0) -> dict[str, Any]:
    """A physical location; paths are relative to the working directory where they are below it."""
    inside = os.path.normpath(path)
    if os.path.isabs(inside) and not os.path.relpath(inside).startswith(".."):
        inside = os.path.relpath(inside)
    place: dict[str, Any] = {
        "artifactLocation": {"uri": quote(os.fsencode(inside.replace(os.sep, "/")))}
    }
    if line > 0:
        place["region"] = {"startLine": line} | ({"startColumn": column} if column > 0 else {})
    return {"physicalLocation": place}
