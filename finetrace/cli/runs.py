"""`finetrace runs`: what was done before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli import console
from finetrace.cli.judging import GraderNames, GradesOfEach, GradingCost
from finetrace.cli.organisms import OrganismsFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from finetrace.evals.grade import Grade
    from finetrace.schema import GradeRecord, Run

app = typer.Typer(help="See what an investigator did, and on what evidence.", no_args_is_help=True)


@app.command("list")
def list_runs(as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False) -> None:
    """List the runs, newest first."""
    from finetrace.cli.json_form import run_json
    from finetrace.store import Store

    with Store() as store:
        runs = store.runs()
        grades = store.grades([run.run_id for run in runs]) if as_json else []
    if as_json:
        by_run: dict[str, list[GradeRecord]] = {}
        for grade in grades:
            by_run.setdefault(grade.run_id, []).append(grade)
        moments = ({"started_at": run.started_at.isoformat()} for run in runs)
        console.print_json(
            [run_json(run, by_run.get(run.run_id, ())) | moment for run, moment in zip(runs, moments, strict=True)]
        )
    elif runs:
        _show_list(runs)
    else:
        console.remarks().print("no run yet: make one with 'finetrace investigate'")


@app.command("show")
def show_run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="Id, its beginning, or 'last' for the newest run.")],
    full: Annotated[bool, typer.Option("--full", help="Show every reading whole.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with every step.")] = False,
) -> None:
    """Show a run step by step, with its evidence.

    Each step with what was called, what came back and how the hypothesis changed; then the answer, its claims with
    their checks, and every quote with the step it stands in.
    """
    from finetrace.cli.json_form import full_run_json
    from finetrace.store import Store

    with Store() as store:
        run = store.find(run_id)
        steps = store.steps(run.run_id)
        grades = store.grades([run.run_id])
    if as_json:
        console.print_json(full_run_json(run, steps, grades))
        return
    from finetrace.cli import transcript

    transcript.show_run(console.results(), run, steps, full=full)


@app.command("grade")
def grade_run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="Id, its beginning, or 'last' for the newest run.")],
    grader: GraderNames = None,
    grades: GradesOfEach = 1,
    max_cost: GradingCost = None,
    against: Annotated[
        str | None, typer.Option(metavar="ORGANISM", help="Whose truth counts; default the run's own. Not kept.")
    ] = None,
    file: OrganismsFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Hold the answer of a run against the truth, fact by fact, and keep the grade.

    Any run of an organism whose truth is in the registry can be graded, and graded again.
    """
    from finetrace.cli.grades import grades_json, show_grades
    from finetrace.cli.judging import open_graders
    from finetrace.cli.language_models import remark
    from finetrace.evals.bench.grading import Judge, Ranks
    from finetrace.evals.bench.grading import grade_run as grade_and_keep
    from finetrace.store import Store

    with Store() as store:
        run = store.find(run_id)
        graders = open_graders(grader, grades, max_cost)
        ranks = Ranks(file)
        given: dict[str, list[Grade]] = {}
        for each in graders.all:
            judge = Judge(each.draws, ranks)
            for number in range(judge.grades):
                if graders.spent():
                    remark(f"--max-cost is reached: {judge.name} gives {number} of {judge.grades} grades")
                    break
                given.setdefault(judge.name, []).append(
                    grade_and_keep(run, judge, store, repeat=number, against=against)
                )
    graders.tell_usage()
    if as_json:
        console.print_json(grades_json(run.run_id, given))
    else:
        show_grades(console.results(), given)


def _show_list(runs: Sequence[Run]) -> None:
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
    for run in runs:
        answer = run.hypothesis if run.status is RunStatus.FINISHED else None
        outcome = run.status.value if answer is None else answer.verdict.value
        cells = (run.run_id, run.organism, run.arm, run.investigator, str(run.seed), outcome)
        table.add_row(*(Text(visible(cell, one_line=True)) for cell in cells))
    console.results().print(table)
