"""The work on a batch: its runs go on from where they stand, then each is graded."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from finetrace.agent import investigate, start
from finetrace.agent.statistical import STATISTICAL
from finetrace.agent.transcript import total_usage
from finetrace.errors import FinetraceError
from finetrace.evals.bench.grading import grade_run, grades_by, open_judge
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


def _grade(batch: Batch, units: Sequence[Unit], store: Store) -> list[Fault]:
    """Give each run the grades that it lacks."""
    judge = None
    have = grades_by(batch.judge, store.grades([unit.run_id for unit in units]))
    faults: list[Fault] = []
    for unit in units:
        try:
            if len(have.get(unit.run_id, {})) >= batch.grades:
                continue
            judge = judge or open_judge(batch.judge, batch.registry)
            for repeat in range(batch.grades):
                if repeat not in have.get(unit.run_id, {}):
                    grade_run(store.run(unit.run_id), judge, store, repeat=repeat)
        except Exception as fault:
            faults.append(Fault(unit.run_id, f"not graded: {_message(fault)}"))
    return faults


def _message(fault: Exception) -> str:
    return fault.message if isinstance(fault, FinetraceError) else f"{type(fault).__name__}: {fault}"
