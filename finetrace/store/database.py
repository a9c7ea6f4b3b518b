"""Runs and their steps, kept in a database."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from finetrace.errors import FinetraceError, closest
from finetrace.schema import Hypothesis, Run, RunStatus, Step, Usage
from finetrace.store import search_index
from finetrace.store.importing import Importing
from finetrace.store.tables import RunRow, StepRow, columns, run_of, step_of

LAST = "last"
"""Names the newest run."""

_OFFERED = 500


def new_run_id() -> str:
    """A new id: date and time in UTC, then 24 random bits (``20261121-142305-3f9a1c``).

    Ids sort by time to the second; `Store.start_run` refuses one that exists.
    """
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class Store(Importing):
    """The database of runs, benchmarks and grades; a context manager that closes it.

    Nothing is opened before it is needed, and reading never makes a database.

    Args:
        url: SQLAlchemy address; default ``FINETRACE_DATABASE_URL``, else a SQLite file in the data folder.

    Raises:
        FinetraceError: From here and from every method: the database cannot be opened, belongs to another
            program, is damaged, or was made by a newer finetrace. Its file is then left as it was.
    """

    def start_run(self, run: Run) -> None:
        """Write a new run.

        Raises:
            FinetraceError: Its id was used before.
        """
        row = RunRow(**self._clean(columns(run)))
        try:
            with self._session() as session:
                session.add(row)
                session.commit()
        except IntegrityError as taken:
            raise FinetraceError(f"there is a run '{run.run_id}' already", "start it under a new id") from taken

    def append_step(self, run_id: str, step: Step) -> None:
        """Add a step to a run's transcript and to the search; a number that it has already stays as first written."""
        row = StepRow(run_id=run_id, **self._clean(columns(step)))
        try:
            with self._session() as session:
                session.add(row)
                session.flush()
                search_index.add(session.connection(), run_id, step_of(row))
                session.commit()
        except IntegrityError:
            self.run(run_id)  # raises where it is the run that is missing

    def finish_run(
        self,
        run_id: str,
        status: RunStatus,
        hypothesis: Hypothesis | None,
        usage: Usage,
        error: str | None = None,
    ) -> None:
        """Write how a run ended: its answer, what it used up, and why it failed if it did."""
        answer = None if hypothesis is None else Hypothesis.model_validate(hypothesis.model_dump())
        used = Usage.model_validate(usage.model_dump())
        values = {
            "status": RunStatus(status).value,
            "hypothesis": None if answer is None else answer.model_dump(mode="json"),
            "usage": used.model_dump(mode="json"),
            "error": error,
            "finished_at": datetime.now(UTC),
        }
        self._update(run_id, self._clean(values))

    def set_status(self, run_id: str, status: RunStatus) -> None:
        """Say where a run stands; one that runs again has neither an end nor an error."""
        values: dict[str, Any] = {"status": RunStatus(status).value}
        if status is RunStatus.RUNNING:
            values |= {"finished_at": None, "error": None}
        self._update(run_id, values)

    def run(self, run_id: str) -> Run:
        """The run of that id, in full.

        Raises:
            FinetraceError: There is none; the hint offers the closest ids.
        """
        if self._open(create=False) is not None:
            with self._session() as session:
                row = session.get(RunRow, run_id)
                if row is not None:
                    return run_of(row)
        raise self._unknown(run_id)

    def steps(self, run_id: str, after: int = 0) -> list[Step]:
        """The transcript of a run, in order; empty for a run that has no step yet.

        Args:
            run_id: The run.
            after: Only steps with a higher number.

        Raises:
            FinetraceError: There is no such run.
        """
        self.run(run_id)
        chosen = select(StepRow).where(StepRow.run_id == run_id, StepRow.number > after).order_by(col(StepRow.number))
        with self._session() as session:
            return [step_of(row) for row in session.exec(chosen)]

    def find(self, name: str) -> Run:
        """The run that a user means: its id, a beginning that only one id has, or ``last`` for the newest.

        Raises:
            FinetraceError: None or several fit.
        """
        ids = self.run_ids()
        if name == LAST:
            if not ids:
                raise FinetraceError(f"there is no run yet in {self.address}", "make one with 'finetrace investigate'")
            return self.run(ids[0])
        fitting = [run_id for run_id in ids if run_id.startswith(name)] if name else []
        if name in fitting or len(fitting) == 1:
            return self.run(name if name in fitting else fitting[0])
        if fitting:
            shown = ", ".join(fitting[:5]) + (" …" if len(fitting) > 5 else "")
            raise FinetraceError(f"{len(fitting)} runs begin with '{name}'", f"type more of the id: {shown}")
        raise self._unknown(name)

    def _unknown(self, run_id: str) -> FinetraceError:
        """What to say about an id that no run has."""
        ids = self.run_ids(_OFFERED)
        hint = closest(run_id, ids) if ids else "there is no run yet: make one with 'finetrace investigate'"
        return FinetraceError(f"no run '{run_id}' in {self.address}", hint)

    def run_ids(self, limit: int | None = None) -> list[str]:
        """Ids of all runs or of the newest few, newest first; much cheaper than the runs."""
        if self._open(create=False) is None:
            return []
        chosen = select(RunRow.run_id).order_by(col(RunRow.started_at).desc(), col(RunRow.run_id).desc())
        with self._session() as session:
            return list(session.exec(chosen if limit is None else chosen.limit(limit)))

    def _update(self, run_id: str, values: dict[str, Any]) -> None:
        """Change one run in a single statement, so that two writers never undo each other."""
        with self._session() as session:
            changed = session.connection().execute(update(RunRow).where(col(RunRow.run_id) == run_id).values(values))
            session.commit()
        if changed.rowcount == 0:
            raise self._unknown(run_id)
