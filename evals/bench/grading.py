"""Grading of runs that are in the store: by whom, against what, and what is kept of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Protocol

from finetrace.errors import FinetraceError
from finetrace.evals.grading.embedding import embedding_folder, find_embedding
from finetrace.evals.grading.grade import Grade
from finetrace.evals.grading.identification import Identification, Identifier
from finetrace.evals.grading.llm_grader import REPEATED, LLMGrader, llm_grader_name
from finetrace.evals.grading.objectives import load_objectives
from finetrace.evals.grading.offline_grader import OfflineGrader
from finetrace.evals.truth import load_truth
from finetrace.llm import LanguageModel
from finetrace.schema import GradeRecord, Hypothesis, Run, RunStatus, Truth
from finetrace.store import Store

OFFLINE = "offline"
"""Names the grader that asks no language model."""

_VERSION = re.compile(rf"(?<=\A{OFFLINE})-\d+\Z|\+rubric-\d+\Z")


class Grader(Protocol):
    """Something that holds a hypothesis against a truth."""

    name: str
    """With a version: it tells whether a run has this grade already."""

    def grade(self, hypothesis: Hypothesis | str, truth: Truth) -> Grade:
        """How right the hypothesis is.

        Raises:
            FinetraceError: The grader cannot be asked.
        """


class Ranks:
    """Where objectives stand among all of a registry, which is read once, whoever asks and from whichever thread.

    Args:
        registry: The organisms file; the same default as `finetrace.registry.load_registry`.
    """

    def __init__(self, registry: Path | None = None) -> None:
        self.registry = registry
        self._identifier: Identifier | None = None
        self._found: dict[tuple[Hypothesis, str], Identification] = {}
        self._lock = Lock()

    def of(self, hypothesis: Hypothesis, organism: str) -> Identification:
        """The place of an organism's objective, given only the hypothesis.

        Raises:
            FinetraceError: No objective is known by that name.
        """
        with self._lock:
            key = hypothesis, organism
            if key not in self._found:
                if self._identifier is None:
                    self._identifier = Identifier(load_objectives(self.registry), find_embedding())
                self._found[key] = self._identifier.identify(hypothesis, organism)
            return self._found[key]


class Judge:
    """A grader with the registry that it grades against.

    Args:
        draws: The grader, once for each grade that it is to give.
        ranks: Where objectives stand; with it judges can share what they read.
    """

    def __init__(self, draws: Sequence[Grader], ranks: Ranks) -> None:
        self.name = draws[0].name
        self.grades = len(draws)
        """How many grades it gives of one answer."""
        self._draws = draws
        self._ranks = ranks

    def judge(self, hypothesis: Hypothesis, organism: str, repeat: int = 0) -> Grade:
        """The grade against an organism's truth, with the place of its objective among all.

        Raises:
            FinetraceError: Nobody wrote down what it was trained for, or the grader cannot be asked.
        """
        grade = self._draws[repeat].grade(hypothesis, load_truth(organism, self._ranks.registry))
        if grade.identification_rank is not None:
            return grade
        found = self._ranks.of(hypothesis, organism)
        return grade.model_copy(update={"identification_rank": found.rank, "identification_confident": found.confident})


def grades_wanted(name: str, grades: int) -> int:
    """How many grades a grader gives where so many are asked for: the offline grader would only repeat itself."""
    return 1 if name == OFFLINE else grades


def open_grading_model(name: str) -> LanguageModel:
    """The language model of a grader.

    Raises:
        FinetraceError: There is no such grader, or its key is missing.
    """
    try:
        return LanguageModel(name)
    except FinetraceError as fault:
        if not fault.message.startswith("no language model"):
            raise
        raise FinetraceError(f"no grader '{name}'", f"known: {OFFLINE}, or a language model: {fault.hint}") from None


def check_grader(name: str) -> None:
    """Make sure that there is a grader of that name, and what it needs.

    Raises:
        FinetraceError: There is none, its key is missing, or the encoder is not installed.
    """
    if name == OFFLINE:
        embedding_folder()
    else:
        open_grading_model(name)


def open_draws(name: str, grades: int = 1, model: LanguageModel | None = None) -> list[Grader]:
    """A grader, once for each grade that it is to give.

    A single grade is drawn at temperature 0; where there are several, each is drawn at `REPEATED` with its own seed.

    Args:
        name: ``offline``, or a language model's.
        grades: How many grades are asked for.
        model: The language model, where it is open already.

    Raises:
        FinetraceError: There is no such grader, or its key is missing.
    """
    if name == OFFLINE:
        return [OfflineGrader()]
    model = model or open_grading_model(name)
    return [LLMGrader(model, seed, REPEATED if grades > 1 else 0.0) for seed in range(grades)]


def open_judge(name: str, registry: str | Path | None = None, grades: int = 1, *, ranks: Ranks | None = None) -> Judge:
    """The judge of that name.

    Args:
        name: ``offline``, or a language model's.
        registry: The organisms file; the same default as `finetrace.registry.load_registry`.
        grades: How many grades it is to give of one answer.
        ranks: Where objectives of that file stand, to share with other judges.

    Raises:
        FinetraceError: There is none, or its key is missing.
    """
    return Judge(open_draws(name, grades), ranks or Ranks(None if registry is None else Path(registry)))


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
    grade = judge.judge(run.hypothesis, against or run.organism, repeat)
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


def unversioned(grader: str) -> str:
    """The name under which a benchmark asks for a grader: ``offline`` of ``offline-3``."""
    return _VERSION.sub("", grader)


def grades_by(grader: str, records: Iterable[GradeRecord]) -> dict[str, dict[int, GradeRecord]]:
    """The grades that one grader gave, by run and repeat; of several versions of it the latest word counts.

    Args:
        grader: As a benchmark names it: ``offline`` for ``offline-1``, ``openai/gpt-5`` for whatever rubric it had.
            Others' grades are left out.
        records: In the order in which they were given.
    """
    found: dict[str, dict[int, GradeRecord]] = {}
    for record in records:
        if grader in (record.grader, unversioned(record.grader)):
            found.setdefault(record.run_id, {})[record.repeat] = record
    return found


def grades_in_force(grader: str, records: Iterable[GradeRecord]) -> dict[str, dict[int, GradeRecord]]:
    """Those of a grader's grades that it would give in the same form today; older versions' have to be given anew.

    Args:
        grader: As a benchmark names it.
        records: In the order in which they were given.
    """
    today = OfflineGrader.name if grader == OFFLINE else llm_grader_name(grader)
    return grades_by(grader, (record for record in records if record.grader == today))
