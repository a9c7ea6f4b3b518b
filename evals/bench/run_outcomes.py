"""Runs as the statistics take them, whether a benchmark made them or not: a row for each grade by each grader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from finetrace.agent import Budget, Thoroughness
from finetrace.errors import FinetraceError
from finetrace.evals.bench.grading import OFFLINE, unversioned
from finetrace.evals.bench.outcomes import NOT_GRADED, outcomes_of
from finetrace.evals.bench.plan import BenchSettings, settings_of, units_of
from finetrace.evals.bench.unit import Unit
from finetrace.evals.statistics.outcome import Outcome
from finetrace.evals.truth import load_truth
from finetrace.models import Target
from finetrace.registry import load_registry
from finetrace.schema import BenchRecord, Run
from finetrace.store import Store


class Rows(NamedTuple):
    """Outcomes, and the runs that can have none."""

    outcomes: list[Outcome]
    unknown: list[str]
    """Ids of runs of models that the registry does not have, or knows no truth of."""


def rows_of_bench(record: BenchRecord, store: Store, registry: Path | None = None) -> Rows:
    """Rows for every unit of a benchmark: by its own grader, then by any others that have graded its runs.

    Args:
        record: The benchmark.
        store: Where its runs lie.
        registry: The organisms file; default the one that it was planned with, where it is still there.

    Raises:
        FinetraceError: The registry cannot be read, or a newer finetrace planned the benchmark.
    """
    settings = settings_of(record)
    planned = Path(settings.registry)
    file = registry or (planned if planned.is_file() else None)
    settings = settings.model_copy(update={"registry": str(load_registry(file).path)})
    units = units_of(record)
    graded = {name for name in {unit.organism for unit in units} if _has_truth(name, Path(settings.registry))}
    known = [unit for unit in units if unit.organism in graded]
    return Rows(_rows(settings, known, store), [unit.run_id for unit in units if unit.organism not in graded])


def rows_of_runs(runs: Sequence[Run], store: Store, registry: Path | None = None) -> Rows:
    """Rows for runs by themselves.

    Args:
        runs: In the order wanted.
        store: Where their steps and grades lie.
        registry: The organisms file; the same default as `finetrace.registry.load_registry`.
    """
    graded = {name for name in {run.organism for run in runs} if _has_truth(name, registry)}
    known = [run for run in runs if run.organism in graded]
    unknown = [run.run_id for run in runs if run.organism not in graded]
    if not known:
        return Rows([], unknown)
    grades = store.grades([run.run_id for run in known])
    settings = BenchSettings(
        registry=str(load_registry(registry).path),
        organisms=tuple(dict.fromkeys(run.organism for run in known)),
        arms=tuple(dict.fromkeys(run.arm for run in known)),
        seeds=1,
        investigators=tuple(dict.fromkeys(run.investigator for run in known)),
        judge=unversioned(grades[-1].grader) if grades else OFFLINE,
    )
    rows = _rows(settings, [_unit(run) for run in known], store)
    # The runs have no common grader that any of them could lack.
    scored = {row.run_id for row in rows if row.grade is not None}
    return Rows([row for row in rows if row.error != NOT_GRADED or row.run_id not in scored], unknown)


def _rows(settings: BenchSettings, units: Sequence[Unit], store: Store) -> list[Outcome]:
    rows = outcomes_of(settings, units, store)
    judges = dict.fromkeys(unversioned(grade.grader) for grade in store.grades([unit.run_id for unit in units]))
    for judge in judges:
        if judge != unversioned(settings.judge):
            rows += [row for row in outcomes_of(settings, units, store, judge) if row.grade is not None]
    return rows


def _has_truth(organism: str, registry: Path | None) -> bool:
    try:
        load_truth(organism, registry)
    except FinetraceError:
        return False
    return True


def _unit(run: Run) -> Unit:
    """The plan that a run follows, as a benchmark would have written it."""
    try:
        return Unit(
            run_id=run.run_id,
            bench_id="",
            organism=run.organism,
            alias=run.alias,
            target=Target.model_validate(run.target),
            arm=run.arm,
            investigator=run.investigator,
            seed=run.seed,
            budget=Budget.model_validate(run.settings.get("budget") or {}),
            thoroughness=Thoroughness.model_validate(run.settings.get("thoroughness") or {}),
        )
    except ValidationError as fault:
        raise FinetraceError(
            f"run {run.run_id} was made by finetrace {run.version} and cannot be read by this one", "use that release"
        ) from fault
