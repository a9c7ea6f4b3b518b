"""The graders of a benchmark: what each gave and used up, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from finetrace.evals.bench.grading import OFFLINE, grades_by
from finetrace.evals.bench.plan import BenchSettings
from finetrace.evals.bench.unit import Unit
from finetrace.evals.grading.grade import Grade
from finetrace.evals.grading.grader_agreement import Given, GraderAgreement, grader_agreement
from finetrace.schema import GradeRecord, Usage
from finetrace.store import Store


class GraderWork(BaseModel):
    """What one grader did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grader: str
    """As the benchmark names it."""
    grades: int
    """Given so far, those without a score included."""
    unscored: int
    """Those without a score."""
    usage: Usage
    """Of all its grades."""


class Graders(BaseModel):
    """All graders of a benchmark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    work: tuple[GraderWork, ...]
    """The main one first."""
    agreement: GraderAgreement | None
    """``None`` where each run has one grade alone."""


def graders_of(settings: BenchSettings, units: Sequence[Unit], store: Store) -> Graders:
    """Read the grades of a benchmark, finished or not.

    Raises:
        FinetraceError: The store cannot be read.
    """
    records = store.grades([unit.run_id for unit in units])
    given = {name: _grades(name, records) for name in settings.judges}
    scores = [
        Given(run_id, name, repeat, grade.score)
        for name, grades in given.items()
        for (run_id, repeat), grade in grades.items()
    ]
    work = tuple(
        GraderWork(
            grader=name,
            grades=len(grades),
            unscored=sum(grade.score is None for grade in grades.values()),
            usage=_used(grades),
        )
        for name, grades in given.items()
    )
    return Graders(work=work, agreement=grader_agreement(scores))


def grading_usage(settings: BenchSettings, units: Sequence[Unit], store: Store) -> Usage:
    """What the language models that grade have used up so far.

    Raises:
        FinetraceError: The store cannot be read.
    """
    asked = [name for name in settings.judges if name != OFFLINE]
    records = store.grades([unit.run_id for unit in units]) if asked else []
    return sum((_used(_grades(name, records)) for name in asked), Usage())


def _grades(grader: str, records: Sequence[GradeRecord]) -> dict[tuple[str, int], Grade]:
    """What one grader gave, by run and repeat."""
    by_run = grades_by(grader, records)
    return {
        (run_id, repeat): Grade.model_validate(record.grade)
        for run_id, repeats in by_run.items()
        for repeat, record in sorted(repeats.items())
    }


def _used(grades: dict[tuple[str, int], Grade]) -> Usage:
    return sum((grade.usage for grade in grades.values()), Usage())
