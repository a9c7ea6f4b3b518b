"""Runs as a table in HiBayes' columns: one row for each grade."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from finetrace.evals.bench.run_outcomes import rows_of_bench, rows_of_runs
from finetrace.evals.statistics.hibayes import write_hibayes
from finetrace.evals.statistics.outcome import Outcome
from finetrace.export.chosen import Chosen
from finetrace.store import Store

_OF_BENCH = "bench"


class Table(NamedTuple):
    """What was written."""

    rows: int
    unscored: int
    """Rows without a score."""
    unknown: list[str]
    """Ids of runs that are left out: nobody wrote down what their models were trained for."""


class Known(NamedTuple):
    """What the registry knows of runs."""

    outcomes: list[Outcome]
    unknown: list[str]


def outcomes_of_chosen(chosen: Chosen, store: Store, registry: Path | None = None) -> Known:
    """Outcomes of everything chosen; a run that its benchmark has is not taken twice.

    Raises:
        FinetraceError: The registry cannot be read.
    """
    benches = [rows_of_bench(bench, store, registry) for bench in chosen.benches]
    done = {bench.bench_id for bench in chosen.benches}
    alone = [run for run in chosen.runs if run.settings.get(_OF_BENCH) not in done]
    rows = rows_of_runs(alone, store, registry)
    both = [*benches, rows]
    return Known([row for each in both for row in each.outcomes], [name for each in both for name in each.unknown])


def write_table(chosen: Chosen, store: Store, path: Path, registry: Path | None = None) -> Table:
    """Write the table, whole or not at all.

    Raises:
        FinetraceError: The registry cannot be read.
        OSError: The file cannot be written.
    """
    known = outcomes_of_chosen(chosen, store, registry)
    table = write_hibayes(known.outcomes, path)
    return Table(table.rows, table.unscored, known.unknown)
