"""`finetrace runs list`: which runs there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli import console
from finetrace.cli.paging import NoPager
from finetrace.cli.run_filters import ArmName, Graded, InvestigatorName, OfBench, OfVerdict, Organism, Since, filter_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from finetrace.schema import GradeRecord, Run

_HEADS = ("run", "organism", "arm", "investigator", "seed", "outcome", "grade")
_FEW = 500
"""Runs that are laid out as a table."""


def list_runs(
    organism: Organism = None,
    arm: ArmName = None,
    investigator: InvestigatorName = None,
    verdict: OfVerdict = None,
    grade: Graded = None,
    since: Since = None,
    bench: OfBench = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    no_pager: NoPager = False,
) -> None:
    """List the runs, newest first; all of them, or those that fit every condition."""
    from finetrace.cli.json_form import run_json
    from finetrace.cli.paging import paged
    from finetrace.store import RunFilter, Store

    with Store() as store:
        bench_id = None if bench is None else store.find_bench(bench).bench_id
        chosen = filter_of(organism, arm, investigator, verdict, grade, since, bench_id)
        runs = store.runs(chosen, limit)
        grades = by_run(store.grades([run.run_id for run in runs]))
    if as_json:
        console.print_json(
            [run_json(run, grades.get(run.run_id, ())) | {"started_at": run.started_at.isoformat()} for run in runs]
        )
    elif runs:
        lines = [_cells(run, grades) for run in runs]
        with paged(no_pager) as out:
            if len(lines) <= _FEW:
                out.print(_table(lines))
            else:
                out.out(_plain(lines), highlight=False)
    elif chosen == RunFilter():
        console.remarks().print("no run yet: make one with 'finetrace investigate'")
    else:
        console.remarks().print("no run fits all of that")


def by_run(grades: Sequence[GradeRecord]) -> dict[str, list[GradeRecord]]:
    """Grades of each run, in the order given."""
    found: dict[str, list[GradeRecord]] = {}
    for grade in grades:
        found.setdefault(grade.run_id, []).append(grade)
    return found


def _cells(run: Run, grades: Mapping[str, Sequence[GradeRecord]]) -> list[str]:
    """One line of the list."""
    from finetrace.cli.escaping import visible
    from finetrace.schema import RunStatus

    answer = run.hypothesis if run.status is RunStatus.FINISHED else None
    outcome = run.status.value if answer is None else answer.verdict.value
    score = grades[run.run_id][-1].grade.get("score") if run.run_id in grades else None
    cells = (
        run.run_id,
        run.organism,
        run.arm,
        run.investigator,
        str(run.seed),
        outcome,
        "" if score is None else score,
    )
    return [visible(str(cell), one_line=True) for cell in cells]


def _table(lines: Sequence[Sequence[str]]) -> Table:
    """As wide as the screen; long names are folded."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    for name in _HEADS:
        right = name in ("seed", "grade")
        table.add_column(name, no_wrap=name == "run", overflow="fold", justify="right" if right else "left")
    for cells in lines:
        table.add_row(*map(Text, cells))
    return table


def _plain(lines: Sequence[Sequence[str]]) -> str:
    """The same for very many runs, in a hundredth of the time: nothing is folded."""
    from rich.cells import cell_len

    rows = [_HEADS, *lines]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    padded = (
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True))
        for cells in rows
    )
    return "\n".join(line.rstrip() for line in padded)
