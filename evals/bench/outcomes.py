"""The runs of a benchmark with their grades, as the statistics take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from finetrace.evals.bench.grading import grades_by
from finetrace.evals.bench.plan import BenchSettings
from finetrace.evals.bench.regime import regime_of
from finetrace.evals.bench.unit import Unit
from finetrace.evals.grading.grade import Grade
from finetrace.evals.statistics.outcome import Outcome, conduct_of
from finetrace.evals.truth import Sealed, load_sealed, load_truth
from finetrace.registry import load_registry
from finetrace.schema import GradeRecord, Organism, Run, RunStatus, Truth, Usage
from finetrace.store import Store

NOT_BEGUN = "not begun"
NOT_ENDED = "not ended"
NOT_GRADED = "not graded"


def outcomes_of(
    settings: BenchSettings, units: Sequence[Unit], store: Store, judge: str | None = None
) -> list[Outcome]:
    """A row for each grade of each run, in the order of the plan; one for a run that failed or lacks its grade.

    Args:
        settings: Of the benchmark.
        units: Its runs.
        store: Where they and their grades lie.
        judge: Whose grades; default the main one's.

    Raises:
        FinetraceError: The registry or the store cannot be read.
    """
    registry = Path(settings.registry)
    known = {organism.name: organism for organism in load_registry(registry).organisms}
    grades = grades_by(judge or settings.judge, store.grades([unit.run_id for unit in units]))
    statuses = store.statuses([unit.run_id for unit in units])
    subjects: dict[str, _Subject] = {}
    rows: list[Outcome] = []
    for unit in units:
        subject = subjects.get(unit.organism)
        if subject is None:
            truth, sealed = load_truth(unit.organism, registry), load_sealed(unit.organism, registry)
            subject = subjects[unit.organism] = _Subject(known[unit.organism], truth, sealed)
        run = store.run(unit.run_id) if unit.run_id in statuses else None
        given = [grade for _, grade in sorted(grades.get(unit.run_id, {}).items())]
        rows += _rows(unit, run, subject, given, store)
    return rows


def outcomes_by_all(settings: BenchSettings, units: Sequence[Unit], store: Store) -> list[Outcome]:
    """The rows of the main grader, then whatever the others graded.

    Raises:
        FinetraceError: The registry or the store cannot be read.
    """
    rows = outcomes_of(settings, units, store)
    for judge in settings.judges_beside:
        rows += [row for row in outcomes_of(settings, units, store, judge) if row.grade is not None]
    return rows


class _Subject(NamedTuple):
    """All that is known of an organism."""

    organism: Organism
    truth: Truth
    sealed: Sealed


def _rows(
    unit: Unit, run: Run | None, subject: _Subject, grades: Sequence[GradeRecord], store: Store
) -> Iterator[Outcome]:
    plain = Outcome(
        run_id="" if run is None else run.run_id,
        organism=unit.organism,
        family=subject.organism.family,
        type=subject.truth.type,
        mixing=subject.sealed.mixing,
        base=subject.organism.base or subject.organism.reference or "",
        regime=regime_of(subject.organism),
        arm=unit.arm,
        interactions=unit.budget.interactions or 0,
        investigator=unit.investigator,
        seed=unit.seed,
        usage=Usage() if run is None else run.usage,
        error=_error(run, bool(grades)),
    )
    if run is None or run.status is not RunStatus.FINISHED:
        yield plain
        return
    conduct = conduct_of(store.steps(run.run_id), run.hypothesis, subject.truth)
    told = plain.model_copy(
        update={"verdict": None if run.hypothesis is None else run.hypothesis.verdict, **conduct._asdict()}
    )
    if not grades:
        yield told
    for record in grades:
        yield told.model_copy(update={"grade": Grade.model_validate(record.grade), "grade_repeat": record.repeat})


def _error(run: Run | None, graded: bool) -> str | None:
    """Why a run gives no figure; ``None`` where it does."""
    if run is None:
        return NOT_BEGUN
    if run.status is RunStatus.FAILED:
        return run.error or run.status.value
    if run.status is not RunStatus.FINISHED:
        return NOT_ENDED
    return None if graded else NOT_GRADED
