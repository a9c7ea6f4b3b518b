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
        with paged(no_pager) as out:
            out.print(_table(runs, grades))
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


def _table(runs: Sequence[Run], grades: Mapping[str, Sequence[GradeRecord]]) -> Table:
    """One line per run."""
    from rich.table import Table
    from rich.text import Text

    from finetrace.cli.escaping import visible
    from finetrace.schema import RunStatus

    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    table.add_column("run", no_wrap=True)
    for name in ("organism", "arm", "investigator"):
        table.add_column(name, overflow="fold")
    table.add_column("seed", justify="right")
    table.add_column("outcome", overflow="fold")
    table.add_column("grade", justify="right")
    for run in runs:
        answer = run.hypothesis if run.status is RunStatus.FINISHED else None
        outcome = run.status.value if answer is None else answer.verdict.value
        score = grades[run.run_id][-1].grade.get("score") if run.run_id in grades else None
        names = (run.run_id, run.organism, run.arm, run.investigator, str(run.seed), outcome)
        table.add_row(*(Text(visible(cell, one_line=True)) for cell in names), "" if score is None else str(score))
    return table
