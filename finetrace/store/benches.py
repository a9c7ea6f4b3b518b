"""Benchmarks and grades, kept in a database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from finetrace.errors import FinetraceError, closest
from finetrace.schema import BenchRecord, GradeRecord, RunStatus, Usage
from finetrace.store.opened import Opened
from finetrace.store.tables import BenchRow, GradeRow, RunRow, bench_of, columns, grade_of

_LAST = "last"
_AT_ONCE = 500
"""Ids in one question; SQLite takes some thousands of values in one."""


class BenchTables(Opened):
    """Benchmarks, the state of their runs, and grades."""

    def start_bench(self, bench: BenchRecord) -> None:
        """Write a new benchmark.

        Raises:
            FinetraceError: Its id was used before.
        """
        row = BenchRow(**self._clean(columns(bench)))
        try:
            with self._session() as session:
                session.add(row)
                session.commit()
        except IntegrityError as taken:
            raise FinetraceError(f"there is a benchmark '{bench.bench_id}' already", "start it anew") from taken

    def bench_ids(self) -> list[str]:
        """Ids of all benchmarks, newest first."""
        if self._open(create=False) is None:
            return []
        chosen = select(BenchRow.bench_id).order_by(col(BenchRow.started_at).desc(), col(BenchRow.bench_id).desc())
        with self._session() as session:
            return list(session.exec(chosen))

    def find_bench(self, name: str) -> BenchRecord:
        """The benchmark that a user means: its id, a beginning that only one id has, or ``last`` for the newest.

        Raises:
            FinetraceError: None or several fit.
        """
        ids = self.bench_ids()
        fitting = ids[:1] if name == _LAST else [each for each in ids if name and each.startswith(name)]
        if name in fitting:
            fitting = [name]
        if len(fitting) > 1:
            raise FinetraceError(f"{len(fitting)} benchmarks begin with '{name}'", "type more of the id")
        if fitting:
            with self._session() as session:
                row = session.get(BenchRow, fitting[0])
                if row is not None:
                    return bench_of(row)
        hint = closest(name, ids) if ids else "there is none yet: make one with 'finetrace bench'"
        raise FinetraceError(f"no benchmark '{name}' in {self.address}", hint)

    def statuses(self, run_ids: Collection[str]) -> dict[str, RunStatus]:
        """Where runs stand; those that are not in the store are left out. Much cheaper than the runs."""
        found: dict[str, RunStatus] = {}
        for ids in self._portions(run_ids):
            with self._session() as session:
                chosen = select(RunRow.run_id, RunRow.status).where(col(RunRow.run_id).in_(ids))
                found |= {run_id: RunStatus(status) for run_id, status in session.exec(chosen)}
        return found

    def usages(self, run_ids: Collection[str]) -> dict[str, Usage]:
        """What ended runs used up; those that are not in the store are left out."""
        found: dict[str, Usage] = {}
        for ids in self._portions(run_ids):
            with self._session() as session:
                chosen = select(RunRow.run_id, RunRow.usage).where(col(RunRow.run_id).in_(ids))
                found |= {run_id: Usage.model_validate(usage) for run_id, usage in session.exec(chosen)}
        return found

    def write_grade(self, grade: GradeRecord) -> None:
        """Keep a grade in place of an earlier one by the same grader and of the same number.

        Raises:
            FinetraceError: There is no such run.
        """
        row = GradeRow(**self._clean(columns(grade)))
        earlier = delete(GradeRow).where(
            col(GradeRow.run_id) == grade.run_id,
            col(GradeRow.grader) == grade.grader,
            col(GradeRow.repeat) == grade.repeat,
        )
        try:
            with self._session() as session:
                session.connection().execute(earlier)
                session.add(row)
                session.commit()
        except IntegrityError as missing:
            raise FinetraceError(f"no run '{grade.run_id}' in {self.address}", "grade a run that is there") from missing

    def grades(self, run_ids: Collection[str]) -> list[GradeRecord]:
        """All grades of these runs, by run, the oldest first."""
        found: list[GradeRecord] = []
        order = (col(GradeRow.run_id), col(GradeRow.graded_at), col(GradeRow.grader), col(GradeRow.repeat))
        for ids in self._portions(run_ids):
            with self._session() as session:
                chosen = select(GradeRow).where(col(GradeRow.run_id).in_(ids)).order_by(*order)
                found += [grade_of(row) for row in session.exec(chosen)]
        return found

    def _portions(self, run_ids: Iterable[str]) -> Iterator[list[str]]:
        """The ids, not too many at once; none where there is no database."""
        if self._open(create=False) is None:
            return
        ids = sorted(set(run_ids))
        yield from (ids[begin : begin + _AT_ONCE] for begin in range(0, len(ids), _AT_ONCE))
