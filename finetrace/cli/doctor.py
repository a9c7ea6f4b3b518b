"""`finetrace doctor`: what this machine offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from finetrace.cli import console, exits
from finetrace.cli.organisms import OrganismsFile

if TYPE_CHECKING:
    from finetrace.cli.machine import Finding, Problem

_HEADINGS = {
    "python": "Python",
    "machine": "machine",
    "compute": "compute",
    "base": "embedded base",
    "keys": "provider keys",
    "data_dir": "data folder",
    "cache_dir": "cache folder",
    "database": "database",
    "organisms": "organisms",
}


def doctor(
    file: OrganismsFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what this machine offers, and what to mend.

    Device and number format, the embedded base, which keys are present (never their values), folders, database and
    organisms. Ends with 0 where investigations can run.
    """
    from finetrace.cli.machine import examine

    findings = examine(file)
    problems = [problem for finding in findings.values() for problem in finding.problems]
    usable = not any(problem.fatal for problem in problems)
    if as_json:
        found: dict[str, Any] = {heading: finding.facts for heading, finding in findings.items()}
        told = [problem._asdict() for problem in problems]
        console.print_json(found | {"problems": told, "usable": usable})
    else:
        _show(findings, problems)
    if not usable:
        raise typer.Exit(exits.FIXABLE)


def _show(findings: dict[str, Finding], problems: list[Problem]) -> None:
    """A line per heading, then what to do."""
    from rich.table import Table
    from rich.text import Text

    from finetrace.cli.escaping import visible

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for heading, finding in findings.items():
        mark = Text("✓", "green")
        if finding.problems:
            mark = Text("✗", "red") if any(problem.fatal for problem in finding.problems) else Text("!", "yellow")
        line = _keys_line(finding.facts) if heading == "keys" else _line(finding.facts)
        table.add_row(mark, _HEADINGS[heading], Text(visible(line, one_line=True)))
    out = console.results()
    out.print(table)
    for problem in problems:
        out.print()
        out.print(Text("✗ " if problem.fatal else "! ", "bold red").append(visible(problem.what), "default"))
        out.print(Text("→ ", "cyan").append(visible(problem.hint), "default"))
    if not problems:
        out.print(Text("everything is in place", "green"))


def _line(facts: dict[str, Any]) -> str:
    """Facts in one line."""
    return ", ".join(_phrase(name, fact) for name, fact in facts.items())


def _phrase(name: str, fact: Any) -> str:
    """One fact, with its unit."""
    if name == "memory_gib":
        return "memory unknown" if fact is None else f"{fact} GiB of memory"
    if isinstance(fact, bool | None):
        fact = {True: "yes", False: "no", None: "none"}[fact]
    return f"{name.replace('_', ' ')} {fact}"


def _keys_line(keys: dict[str, bool]) -> str:
    """Which keys are there."""
    there = [name for name, is_set in keys.items() if is_set]
    return ", ".join(there) + " present" if there else "none present (needed only for an LLM as investigator)"
