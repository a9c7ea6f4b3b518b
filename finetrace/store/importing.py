"""Runs of another store, taken in as they are: all of them or none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from finetrace.errors import FinetraceError
from finetrace.schema import BenchRecord, GradeRecord, Run, Step
from finetrace.store import search_index
from finetrace.store.searching import Searching
from finetrace.store.tables import (
    BenchRow,
    GradeRow,
    RunRow,
    StepRow,
    bench_of,
    columns,
    grade_of,
    run_of,
    step_of,
)


class StepOf(NamedTuple):
    """A step with the run it belongs to."""

    run_id: str
    step: Step


Record = BenchRecord | Run | StepOf | GradeRecord


class Counts(NamedTuple):
    """How many of each kind."""

    benches: int = 0
    runs: int = 0
    steps: int = 0
    grades: int = 0

    def with_one(self, kind: str) -> Counts:
        """One more of ``bench``, ``run``, ``step`` or ``grade``; of anything else nothing is counted."""
        names = {"bench": "benches", "run": "runs", "step": "steps", "grade": "grades"}
        name = names.get(kind)
        return self if name is None else self._replace(**{name: getattr(self, name) + 1})


class Importing(Searching):
    """Taking in what another store gave out."""

    def take_in(self, records: Iterable[Record]) -> Counts:
        """Write all of these that are not there yet, in one go, and say how many were new.

        Args:
            records: Runs before their steps and grades.

        Raises:
            FinetraceError: One is there already and differs, or lacks its run; nothing is written then. The same for
                whatever the records raise on their way.
        """
        counts = Counts()
        with self._session() as session:
            try:
                for record in records:
                    kind = self._take_in(session, record)
                    counts = counts.with_one(kind)
            except IntegrityError as fault:
                raise FinetraceError(
                    "a step or a grade comes without its run; nothing was imported", "export it again"
                ) from fault
            # Their words are read by the next search: others wait to write as long as this goes on.
            search_index.add_entries(session.connection())
            session.commit()
        return counts

    def _take_in(self, session: Session, record: Record) -> str:
        """Write one record; its kind, or nothing where it is there already."""
        if isinstance(record, StepOf):
            return self._take_in_step(session, record)
        present: Any
        if isinstance(record, BenchRecord):
            row: Any = BenchRow(**self._clean(columns(record)))
            present, name, kind = session.get(BenchRow, record.bench_id), f"benchmark {record.bench_id}", "bench"
            same = present is not None and bench_of(present) == bench_of(row)
        elif isinstance(record, Run):
            row = RunRow(**self._clean(columns(record)))
            present, name, kind = session.get(RunRow, record.run_id), f"run {record.run_id}", "run"
            same = present is not None and run_of(present) == run_of(row)
        else:
            row = GradeRow(**self._clean(columns(record)))
            key = (record.run_id, record.grader, record.repeat)
            present, name, kind = session.get(GradeRow, key), f"the grade of run {record.run_id}", "grade"
            same = present is not None and grade_of(present) == grade_of(row)
        if present is None:
            session.add(row)
            session.flush()
            return kind
        session.expunge(present)
        if not same:
            raise _differs(name)
        return ""

    def _take_in_step(self, session: Session, record: StepOf) -> str:
        row = StepRow(run_id=record.run_id, **self._clean(columns(record.step)))
        present = session.get(StepRow, (record.run_id, record.step.number))
        if present is not None:
            session.expunge(present)
            if step_of(present) != step_of(row):
                raise _differs(f"step {record.step.number} of run {record.run_id}")
            return ""
        session.add(row)
        session.flush()
        session.expunge(row)  # thousands of them would fill the memory
        return "step"


def _differs(name: str) -> FinetraceError:
    return FinetraceError(
        f"{name} is in the store already and differs; nothing was imported",
        "delete the run first, or import into another store (FINETRACE_DATA_DIR)",
    )
