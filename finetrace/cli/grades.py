"""Grades of a run, in the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finetrace.cli.escaping import visible

if TYPE_CHECKING:
    from rich.console import Console

    from finetrace.evals.grading.grade import Grade

_MARKS = {"found": "+", "missed": "-", "contradicted": "x"}


def grades_json(run_id: str, given: Mapping[str, Sequence[Grade]]) -> dict[str, Any]:
    """What ``runs grade --json`` prints: a single grade as it is, several by grader with their mean.

    Args:
        run_id: What was graded.
        given: Grades by grader, in order.
    """
    from finetrace.cli.json_form import grade_json

    shown = {name: [grade_json(grade.model_dump(mode="json")) for grade in grades] for name, grades in given.items()}
    every = [each for grades in shown.values() for each in grades]
    if len(every) == 1:
        return {"run_id": run_id, **every[0]}
    return {
        "run_id": run_id,
        "graders": [
            {"grader": name, "score": mean_score(given[name]), "grades": grades} for name, grades in shown.items()
        ],
    }


def mean_score(grades: Sequence[Grade]) -> float | None:
    """Mean of the grades that could be scored; ``None`` where none could."""
    scores = [grade.score for grade in grades if grade.score is not None]
    return sum(scores) / len(scores) if scores else None


def show_grades(out: Console, given: Mapping[str, Sequence[Grade]]) -> None:
    """Every grade, and where a grader gave several their mean."""
    for name, grades in given.items():
        for grade in grades:
            show_grade(out, grade)
        if len(grades) > 1:
            mean = mean_score(grades)
            score = "none could be scored" if mean is None else f"{mean:.2f} of 5"
            out.print(visible(f"mean of {len(grades)} grades by {name}: {score}", one_line=True))


def show_grade(out: Console, grade: Grade) -> None:
    """The score with its reason, every key fact, and where the objective stands among all."""
    score = "could not be scored" if grade.score is None else f"{grade.score} of 5"
    out.print(visible(f"grade: {score} ({grade.grader})", one_line=True))
    if grade.reason:
        out.print(visible(grade.reason, one_line=True), soft_wrap=True)
    for fact in grade.facts:
        note = f" ({fact.note})" if fact.note else ""
        line = f"  {_MARKS[fact.outcome.value]} {fact.outcome.value}: {fact.fact}{note}"
        out.print(visible(line, one_line=True), soft_wrap=True)
    if grade.detected is not None:
        out.print(f"a guess names the objective: {'yes' if grade.detected else 'no'}")
    if grade.identification_rank is not None:
        sure = {True: ", all ways of ranking agree on the first", False: "", None: ""}[grade.identification_confident]
        out.print(f"place of the objective among all of the registry: {grade.identification_rank}{sure}")
