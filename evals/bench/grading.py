"""Grading of runs that are in the store: by whom, against what, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from finetrace.errors import FinetraceError
from finetrace.evals.embedding import find_embedding
from finetrace.evals.grade import Grade
from finetrace.evals.identification import Identification, Identifier
from finetrace.evals.objectives import load_objectives
from finetrace.evals.truth import load_truth
from finetrace.schema import GradeRecord, Hypothesis, Run, RunStatus, Truth
from finetrace.store import Store

OFFLINE = "offline"
"""Names the grader that asks no language model."""


class Grader(Protocol):
    """Something that holds a hypothesis against a truth."""

    name: str
    """With a version: it tells whether a run has this grade already."""

    def grade(self, hypothesis: Hypothesis | str, truth: Truth) -> Grade:
        """How right the hypothesis is.

        Raises:
            FinetraceError: The grader cannot be asked.
        """


class Judge:
    """A grader with the registry that it grades against; its objectives are read once.

    Args:
        grader: Who grades.
        registry: The organisms file; the same default as `finetrace.registry.load_registry`.
    """

    def __init__(self, grader: Grader, registry: Path | None = None) -> None:
        self.name = grader.name
        self._grader = grader
        self._registry = registry
        self._identifier: Identifier | None = None

    def judge(self, hypothesis: Hypothesis, organism: str) -> Grade:
        """The grade against an organism's truth, with the place of its objective among all.

        Raises:
            FinetraceError: Nobody wrote down what it was trained for, or the grader cannot be asked.
        """
        grade = self._grader.grade(hypothesis, load_truth(organism, self._registry))
        if grade.identification_rank is not None:
            return grade
        found = self._identify(hypothesis, organism)
        return grade.model_copy(update={"identification_rank": found.rank, "identification_confident": found.confident})

    def _identify(self, hypothesis: Hypothesis, organism: str) -> Identification:
        if self._identifier is None:
            self._identifier = Identifier(load_objectives(self._registry), find_embedding())
        return self._identifier.identify(hypothesis, organism)


def check_grader(name: str) -> None:
    """Make sure that there is a grader of that name.

    Raises:
        FinetraceError: There is none.
    """
    if name != OFFLINE:
        raise FinetraceError(f"no grader '{name}'", f"known: {OFFLINE}")


def open_judge(name: str, registry: str | Path | None = None) -> Judge:
    """The judge of that name: ``offline``.

    Raises:
        FinetraceError: There is none.
    """
    check_grader(name)
    from finetrace.evals.offline_grader import OfflineGrader

    return Judge(OfflineGrader(), None if registry is None else Path(registry))


def grade_run(run: Run, judge: Judge, store: Store, *, repeat: int = 0, against: str | None = None) -> Grade:
    """Grade a run and keep the grade.

    Args:
        run: It has ended with an answer.
        judge: Who grades.
        store: Where to.
        repeat: Which time.
        against: The organism whose truth counts; default the run's own.

    Raises:
        FinetraceError: The run has no answer, the organism no truth, or the grader cannot be asked.
    """
    if run.status is not RunStatus.FINISHED or run.hypothesis is None:
        raise FinetraceError(
            f"run {run.run_id} has no answer to grade: it is {run.status.value}",
            f"finish it with `finetrace investigate --resume {run.run_id}`",
        )
    grade = judge.judge(run.hypothesis, against or run.organism)
    if against is None:
        store.write_grade(
            GradeRecord(
                run_id=run.run_id,
                grader=judge.name,
                repeat=repeat,
                grade=grade.model_dump(mode="json"),
                graded_at=datetime.now(UTC),
            )
        )
    return grade


def grades_by(grader: str, records: Iterable[GradeRecord]) -> dict[str, dict[int, GradeRecord]]:
    """The grades that one grader gave, by run and repeat; of several versions of it the latest word counts.

    Args:
        grader: As a benchmark names it: ``offline`` for ``offline-1`` too. Others' grades are left out.
        records: In the order in which they were given.
    """
    found: dict[str, dict[int, GradeRecord]] = {}
    for record in records:
        if record.grader == grader or record.grader.startswith(f"{grader}-"):
            found.setdefault(record.run_id, {})[record.repeat] = record
    return found
