"""A grade in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetrace.cli.escaping import visible

if TYPE_CHECKING:
    from rich.console import Console

    from finetrace.evals.grade import Grade

_MARKS = {"found": "+", "missed": "-", "contradicted": "x"}


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
