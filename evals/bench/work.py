"""The work on a batch: its runs go on from where they stand, then each is graded."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from finetrace.agent import investigate, start
from finetrace.agent.statistical import STATISTICAL
from finetrace.agent.transcript import total_usage
from finetrace.errors import FinetraceError, WorkError
from finetrace.evals.bench.grading import OFFLINE, Judge, Ranks, grade_run, grades_in_force, grades_wanted, open_judge
from finetrace.evals.bench.sharing import SharedPair
from finetrace.evals.bench.unit import Batch, Unit
from finetrace.llm import LanguageModel
from finetrace.models import ModelPair, open_pair
from finetrace.schema import RunStatus
from finetrace.settings import get_settings
from finetrace.store import Store
from finetrace.tools import Context


class Fault(NamedTuple):
    """What went wrong in one unit."""

    run_id: str
    message: str


def do_batch(batch: Batch) -> tuple[Fault, ...]:
    """Bring every unit of a batch to its end and its grades; what is done already is not done again.

    Returns:
        What went wrong. It is in the store too: as the error of a run, or as a grade that is not there.
    """
    with Store() as store:
        statuses = store.statuses([unit.run_id for unit in batch.units])
        left = [unit for unit in batch.units if statuses.get(unit.run_id) is not RunStatus.FINISHED]
        faults = _go_through(batch, left, store) if left else []
        failed = {fault.run_id for fault in faults}
        return (*faults, *_grade(batch, [unit for unit in batch.units if unit.run_id not in failed], store))


def give_up(batch: Batch, message: str) -> tuple[Fault, ...]:
    """Say of all runs of a batch that have not ended why they will not."""
    with Store() as store:
        statuses = store.statuses([unit.run_id for unit in batch.units])
        ended = (RunStatus.FINISHED, RunStatus.FAILED)
        left = [unit for unit in batch.units if statuses.get(unit.run_id) not in ended]
        return tuple(_fail(unit, message, store) for unit in left)


def _go_through(batch: Batch, units: Sequence[Unit], store: Store) -> list[Fault]:
    """Load the models once and bring the runs to their ends."""
    try:
        pair = open_pair(units[0].target)
    except Exception as fault:
        return [_fail(unit, _message(fault), store) for unit in units]
    asking = [unit for unit in units if unit.investigator != STATISTICAL]
    alone = [unit for unit in units if unit.investigator == STATISTICAL]
    faults = [_go_on(unit, pair, store) for unit in alone]
    if asking:
        # While one run waits for its language model, another uses the pair.
        shared = SharedPair(pair)
        with ThreadPoolExecutor(batch.overlap) as pool:
            faults += pool.map(partial(_go_on, pair=shared, store=store), asking)
    return [fault for fault in faults if fault is not None]


def _go_on(unit: Unit, pair: ModelPair, store: Store) -> Fault | None:
    """Bring one run to its end; a failure is written down and returned, so that the others go on."""
    try:
        if unit.run_id not in store.statuses([unit.run_id]):
            start(unit.plan(), store, unit.run_id)
        grader = None if unit.grader is None else LanguageModel(unit.grader)
        context = Context(seed=unit.seed, grader=grader)
        investigate(store.run(unit.run_id), pair, store, context, get_settings().data_dir / "checkpoints.db")
    except Exception as fault:
        return _fail(unit, _message(fault), store)
    return None


def _fail(unit: Unit, message: str, store: Store) -> Fault:
    """Write down that a run failed, one that could not begin included."""
    if unit.run_id not in store.statuses([unit.run_id]):
        start(unit.plan(), store, unit.run_id)
    store.finish_run(unit.run_id, RunStatus.FAILED, None, total_usage(store.steps(unit.run_id)), message)
    return Fault(unit.run_id, message)


class _Wanted(NamedTuple):
    """One grade that is still to be given."""

    run_id: str
    repeat: int


def _grade(batch: Batch, units: Sequence[Unit], store: Store) -> list[Fault]:
    """Give each run the grades that it lacks."""
    ranks = Ranks(Path(batch.registry))
    records = store.grades([unit.run_id for unit in units])
    faults: list[Fault] = []
    for name in batch.judges:
        have = grades_in_force(name, records)
        repeats = range(grades_wanted(name, batch.grades))
        wanted = [_Wanted(u.run_id, n) for u in units for n in repeats if n not in have.get(u.run_id, {})]
        if not wanted:
            continue
        try:
            judge = open_judge(name, batch.registry, batch.grades, ranks=ranks)
        except Exception as fault:
            faults += [_ungraded(run_id, fault) for run_id in dict.fromkeys(each.run_id for each in wanted)]
            continue
        give = _Giver(judge, store)
        if name == OFFLINE:
            found = [give(each) for each in wanted]
        else:
            with ThreadPoolExecutor(batch.overlap) as pool:
                found = list(pool.map(give, wanted))
        faults += [fault for fault in found if fault is not None]
    return faults


class _Giver:
    """Gives grades, from several threads; where the grader's provider is down it is not asked again."""

    def __init__(self, judge: Judge, store: Store) -> None:
        self._judge = judge
        self._store = store
        self._down: WorkError | None = None

    def __call__(self, wanted: _Wanted) -> Fault | None:
        """Give one grade; a failure is returned, so that the others go on."""
        try:
            if self._down is not None:
                raise self._down
            grade_run(self._store.run(wanted.run_id), self._judge, self._store, repeat=wanted.repeat)
        except WorkError as fault:
            self._down = fault
            return _ungraded(wanted.run_id, fault)
        except Exception as fault:
            return _ungraded(wanted.run_id, fault)
        return None


def _ungraded(run_id: str, fault: Exception) -> Fault:
    return Fault(run_id, f"not graded: {_message(fault)}")


def _message(fault: Exception) -> str:
    return fault.message if isinstance(fault, FinetraceError) else f"{type(fault).__name__}: {fault}"
