"""A grade as it lies in the store, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetrace.cli.escaping import visible
from finetrace.cli.grades import show_grade

if TYPE_CHECKING:
    from rich.console import Console

    from finetrace.schema import GradeRecord


def show_record(out: Console, record: GradeRecord) -> None:
    """A grade that was kept; its score alone where this release cannot read the rest."""
    from pydantic import ValidationError

    from finetrace.evals.grading.grade import Grade

    try:
        grade = Grade.model_validate(record.grade)
    except ValidationError:
        score = record.grade.get("score")
        out.print(visible(f"grade: {score} of 5 ({record.grader}, of another release)", one_line=True))
    else:
        show_grade(out, grade)
