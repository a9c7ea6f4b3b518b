"""Progress of a benchmark, read from the store: it is the same whoever does the work, and wherever."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from finetrace.cli import console

if TYPE_CHECKING:
    from finetrace.evals.bench.plan import BenchSettings
    from finetrace.evals.bench.unit import Unit

_EVERY = 1.0
"""Seconds between two looks at the store."""


@contextmanager
def watching(units: Sequence[Unit], settings: BenchSettings, left: Sequence[Unit]) -> Iterator[None]:
    """Show within the block how many runs are done, the time left, and the cost so far.

    Args:
        units: All runs of the benchmark.
        settings: How many grades each is to have.
        left: Those that are to be done now; the time left is reckoned from them.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    out = console.remarks()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[cost]}", markup=False),
    )
    stop = threading.Event()
    with Progress(*columns, console=out) as bars:
        task = bars.add_task("runs", total=len(left), cost="")

        def look() -> None:
            done, cost = _state(units, settings, left)
            bars.update(task, completed=done, cost=cost)

        def keep_looking() -> None:
            while not stop.wait(_EVERY):
                look()

        watcher = threading.Thread(target=keep_looking, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            look()


def _state(units: Sequence[Unit], settings: BenchSettings, left: Sequence[Unit]) -> tuple[int, str]:
    """How many of the runs that were left are at their end, and what all have cost so far."""
    from finetrace.errors import FinetraceError
    from finetrace.evals.bench.graders import grading_usage
    from finetrace.evals.bench.plan import left_of
    from finetrace.schema import RunStatus, Usage
    from finetrace.store import Store

    try:
        with Store() as store:
            open_now = {unit.run_id for unit in left_of(settings, left, store)}
            failed = {run_id for run_id, status in store.statuses(open_now).items() if status is RunStatus.FAILED}
            used = sum(store.usages([unit.run_id for unit in units]).values(), Usage())
            used += grading_usage(settings, units, store)
    except FinetraceError:
        return 0, ""  # a database that is busy for half a minute; the work itself will complain if it must
    cost = "cost unknown" if used.cost_usd is None else f"${used.cost_usd:.2f}"
    return len(left) - len(open_now - failed), cost
