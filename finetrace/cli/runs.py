"""`finetrace runs`: what was done before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli import console
from finetrace.cli.exports import export_runs, import_runs
from finetrace.cli.judging import GraderNames, GradesOfEach, GradingCost
from finetrace.cli.organisms import OrganismsFile
from finetrace.cli.paging import NoPager, paged
from finetrace.cli.runs_compare import compare_runs
from finetrace.cli.runs_delete import delete_runs
from finetrace.cli.runs_list import list_runs
from finetrace.cli.runs_search import search_runs
from finetrace.cli.runs_tail import tail_run

if TYPE_CHECKING:
    from finetrace.evals.grading.grade import Grade

app = typer.Typer(help="See what an investigator did, and on what evidence.", no_args_is_help=True)


app.command("list")(list_runs)


@app.command("show")
def show_run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="Id, its beginning, or 'last' for the newest run.")],
    full: Annotated[bool, typer.Option("--full", help="Show every reading whole.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with every step.")] = False,
    no_pager: NoPager = False,
) -> None:
    """Show a run step by step, with its evidence.

    Each step with what was called, what came back and how the hypothesis changed; then the answer, its claims with
    their checks, every quote with the step it stands in, and its grades. Quotes are highlighted where they occur.
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

    with paged(no_pager) as out:
        transcript.show_run(out, run, steps, grades, full=full)


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


app.command("search", short_help="Find steps by what was said, shown or measured in them.")(search_runs)
app.command("compare", short_help="Show two runs side by side.")(compare_runs)
app.command("tail", short_help="Show the steps of a run as they are taken.")(tail_run)
app.command("export", short_help="Write runs or benchmarks to files for other programs.")(export_runs)
app.command("import", short_help="Read runs and benchmarks back from a file.")(import_runs)
app.command("delete", short_help="Delete runs with their steps and grades.")(delete_runs)
