"""Searching the steps of runs, and taking runs out of the store with all that belongs to them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from sqlalchemy import delete
from sqlmodel import col, select

from finetrace.errors import FinetraceError
from finetrace.schema import Run, Step
from finetrace.store import search_index
from finetrace.store.query import Query
from finetrace.store.selection import ALL, RunFilter, Selecting
from finetrace.store.tables import RunRow, StepRow, run_of, step_of
from finetrace.store.words import Place

_PORTION = 200
"""Steps that are read into the index in one transaction."""


class Found(NamedTuple):
    """A step in which everything that was searched for occurs, with its run."""

    run: Run
    step: Step


class Searching(Selecting):
    """The full-text index over steps."""

    def search(
        self,
        query: Query,
        *,
        places: Collection[Place] = frozenset(Place),
        chosen: RunFilter = ALL,
        limit: int = 20,
    ) -> list[Found]:
        """Steps that hold everything that is searched for, the latest first.

        Args:
            query: From `finetrace.store.query.parse_query`.
            places: Where in a step to look.
            chosen: In which runs.
            limit: At most so many steps.
        """
        if self._open(create=False) is None:
            return []
        self.fill_index()
        runs = None if chosen == ALL else self.selected_ids(chosen)
        with self._session() as session:
            hits = search_index.find(session.connection(), query, places=places, runs=runs, limit=limit)
            found: list[Found] = []
            known: dict[str, Run] = {}
            for hit in hits:
                run, step = session.get(RunRow, hit.run_id), session.get(StepRow, (hit.run_id, hit.number))
                if run is not None and step is not None:
                    known.setdefault(hit.run_id, run_of(run))
                    found.append(Found(known[hit.run_id], step_of(step)))
        return found

    def unindexed(self) -> int:
        """Steps that the next search has to read first: those of an earlier finetrace."""
        if self._open(create=False) is None:
            return 0
        with self._session() as session:
            lacks_entries = search_index.lacks_entries(session.connection())
        if lacks_entries:
            with self._session() as session:
                search_index.add_entries(session.connection())
                session.commit()
        with self._session() as session:
            return search_index.to_fill(session.connection())

    def fill_index(self, progress: Callable[[int], None] = lambda done: None) -> None:
        """Read what is not in the index yet, a portion at a time, so that nobody who writes has to wait.

        Args:
            progress: Told after each portion how many steps were read.
        """
        missing = self.unindexed() > 0
        while missing:
            with self._session() as session:
                done = search_index.fill_some(session.connection(), _PORTION)
                session.commit()
            progress(done)
            missing = done > 0 or self.unindexed() > 0

    def delete_run(self, run_id: str) -> None:
        """Take out a run with its steps, its grades and its part of the index; all of it or nothing.

        Raises:
            FinetraceError: There is no such run.
        """
        with self._session() as session:
            search_index.hold(session.connection())
            if session.get(RunRow, run_id) is None:
                raise FinetraceError(
                    f"no run '{run_id}' in {self.address}", "'finetrace runs list' shows which there are"
                )
            rows = session.exec(select(StepRow).where(StepRow.run_id == run_id))
            search_index.forget(session.connection(), run_id, [step_of(row) for row in rows])
            session.connection().execute(delete(RunRow).where(col(RunRow.run_id) == run_id))
            session.commit()
