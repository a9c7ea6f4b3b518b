"""Which runs are meant: by organism, arm, investigator, verdict, grade, status and time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from typing import NamedTuple

from sqlmodel import col, select

from finetrace.schema import GradeRecord, Run, RunStatus, Verdict
from finetrace.store.benches import BenchTables
from finetrace.store.tables import RunRow, run_of


class GradeRange(NamedTuple):
    """Scores from one to another, both included; or no score at all."""

    low: int
    high: int

    def holds(self, score: int | None) -> bool:
        """Whether a score is among these; 0 stands for none."""
        return self.low <= (score or 0) <= self.high


class RunFilter(NamedTuple):
    """Conditions that must all hold; what is ``None`` is no condition."""

    organism: str | None = None
    """Name, family or pattern (``tide_*``)."""
    arm: str | None = None
    """Name or pattern; ``blackbox`` is ``blackbox@50`` too."""
    investigator: str | None = None
    """Name or pattern (``openai/*``)."""
    verdict: Verdict | None = None
    """Of the answer; runs without an answer have none."""
    grade: GradeRange | None = None
    """By the latest grade."""
    status: RunStatus | None = None
    """Where it stands."""
    since: datetime | None = None
    """Begun then or later."""
    bench: str | None = None
    """Id of the benchmark that it belongs to."""

    def names_fit(self, organism: str, arm: str, investigator: str) -> bool:
        """Whether the names are those that are meant."""
        return (
            (self.organism is None or _fits(organism, self.organism, "/"))
            and (self.arm is None or _fits(arm, self.arm, "@"))
            and (self.investigator is None or fnmatchcase(investigator, self.investigator))
        )


ALL = RunFilter()
"""No condition."""


class Selecting(BenchTables):
    """Runs by condition."""

    def runs(self, chosen: RunFilter = ALL, limit: int | None = None) -> list[Run]:
        """The runs that are meant, newest first.

        Args:
            chosen: Which ones; default all.
            limit: At most so many.
        """
        if self._open(create=False) is None:
            return []
        asked = select(RunRow).order_by(col(RunRow.started_at).desc(), col(RunRow.run_id).desc())
        if chosen == ALL:
            with self._session() as session:
                return [run_of(row) for row in session.exec(asked.limit(limit))]
        found: list[Run] = []
        for ids in self._portions(self.selected_ids(chosen)[:limit]):
            with self._session() as session:
                found += [run_of(row) for row in session.exec(asked.where(col(RunRow.run_id).in_(ids)))]
        return sorted(found, key=lambda run: (run.started_at, run.run_id), reverse=True)

    def selected_ids(self, chosen: RunFilter = ALL) -> list[str]:
        """Ids of the runs that are meant, newest first; much cheaper than the runs."""
        if self._open(create=False) is None:
            return []
        asked = select(RunRow.run_id, RunRow.organism, RunRow.arm, RunRow.investigator)
        if chosen.since is not None:
            asked = asked.where(col(RunRow.started_at) >= chosen.since)
        if chosen.status is not None:
            asked = asked.where(RunRow.status == chosen.status.value)
        if chosen.verdict is not None:
            verdict = col(RunRow.hypothesis)["verdict"].as_string()
            asked = asked.where(verdict == chosen.verdict.value, RunRow.status == RunStatus.FINISHED.value)
        if chosen.bench is not None:
            asked = asked.where(col(RunRow.settings)["bench"].as_string() == chosen.bench)
        with self._session() as session:
            rows = session.exec(asked.order_by(col(RunRow.started_at).desc(), col(RunRow.run_id).desc())).all()
        ids = [run_id for run_id, *names in rows if chosen.names_fit(*names)]
        if chosen.grade is None:
            return ids
        scores = latest_scores(self.grades(ids))
        return [run_id for run_id in ids if chosen.grade.holds(scores.get(run_id))]


def latest_scores(grades: Iterable[GradeRecord]) -> dict[str, int | None]:
    """What each run's latest grade says, ``None`` where it could not score; runs without a grade are left out."""
    return {grade.run_id: grade.grade.get("score") for grade in grades}


def _fits(name: str, pattern: str, separator: str) -> bool:
    """Whether a name is meant, or is of the kind that is meant."""
    return fnmatchcase(name, pattern) or name.startswith(pattern + separator)
