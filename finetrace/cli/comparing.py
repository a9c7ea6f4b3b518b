"""An answer beside the truth: its grade, where the registry knows what the model was trained for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finetrace.cli import console
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.store import Store


def grade_runs(run_ids: Sequence[str], store: Store, registry: Path) -> None:
    """Grade the runs that have ended and have no such grade yet; one line says why where that cannot be done."""
    from finetrace.cli.language_models import remark
    from finetrace.evals.bench.grading import OFFLINE, grade_run, grades_in_force, open_judge
    from finetrace.schema import RunStatus

    runs = [run for run_id in run_ids if (run := store.run(run_id)).status is RunStatus.FINISHED]
    graded = grades_in_force(OFFLINE, store.grades(list(run_ids)))
    try:
        judge = open_judge(OFFLINE, registry)
        for run in runs:
            if run.run_id not in graded:
                grade_run(run, judge, store)
    except FinetraceError as fault:
        remark(f"not graded: {fault.message}{f'; {fault.hint}' if fault.hint else ''}")


def show_comparison(run_ids: Sequence[str], store: Store, organism: str, registry: Path) -> None:
    """The truth, then how each run's answer was graded against it."""
    from finetrace.cli.escaping import visible
    from finetrace.cli.grades import show_grade
    from finetrace.cli.truth import show_truth
    from finetrace.evals.grading.grade import Grade
    from finetrace.evals.truth import load_truth

    try:
        truth = load_truth(organism, registry)
    except FinetraceError as absent:
        console.remarks().print(visible(f"nothing to compare with: {absent.message}", one_line=True))
        return
    grades = {grade.run_id: grade for grade in store.grades(list(run_ids))}
    out = console.results()
    out.print()
    show_truth(out, truth, facts=not grades)
    for run_id in run_ids:
        if run_id in grades:
            out.print(f"\nrun {run_id}" if len(run_ids) > 1 else "")
            show_grade(out, Grade.model_validate(grades[run_id].grade))
