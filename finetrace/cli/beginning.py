"""Runs that are about to go on: new ones to be written, or an old one found again, with their models opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from finetrace.cli.budget import check_cost_bound
from finetrace.cli.language_models import LanguageModels, open_language_models, tell_unknown_prices
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.agent import Plan
    from finetrace.cli.planning import Planned
    from finetrace.models import ModelPair, Target
    from finetrace.registry import Registry
    from finetrace.schema import Run
    from finetrace.store import Store


class Begun(NamedTuple):
    """Runs of one organism, and what they need."""

    runs: Iterable[Run]
    """In the order they are to go on; a new one is written when its turn comes."""
    pair: ModelPair | None
    """``None`` where the run has its answer already."""
    models: LanguageModels
    """Whom they may ask."""
    registry: Registry | None
    """Where the organism has its entry; ``None`` for models and files."""


def begin(planned: Planned, registry: Registry | None, runs: int, *, merge: bool, store: Store) -> Begun:
    """Open the models for new runs, and say what they will take.

    Args:
        planned: What each run does; each has a seed of its own, the first that of the plan.
        registry: Where the organism has its entry.
        runs: How many.
        merge: Whether they are written at once, with one that merges them, to which alone the user then has to refer.
        store: Where to write them.
    """
    from finetrace.agent.merging import start_merging
    from finetrace.cli.estimating import tell_estimate
    from finetrace.models import open_pair

    tell_unknown_prices(planned.models)
    # Opened before a run is written: a model that cannot be loaded leaves no run behind.
    pair = open_pair(planned.plan.target)
    plan, merging = tell_estimate(planned.plan, planned.models, pair, runs, merge=merge)
    plans = [replace(plan, seed=plan.seed + number) for number in range(runs)]
    written: Iterable[Run]
    if merge:
        written = [start_merging(plans, replace(merging, seed=plan.seed + runs), store)]
    else:
        written = _one_by_one(plans, store)
    return Begun(written, pair, planned.models, registry)


def _one_by_one(plans: Iterable[Plan], store: Store) -> Iterator[Run]:
    """Write each run when it is asked for."""
    from finetrace.agent import start

    for plan in plans:
        yield start(plan, store)


def reopen(run: Run, organisms: Path | None) -> Begun:
    """Open the models of a run that is already in the store, where it still needs them."""
    from finetrace.agent import Budget
    from finetrace.models import Target, open_pair
    from finetrace.schema import RunStatus

    target = Target.model_validate(run.target)
    registry = _registry_of(run.organism, target, organisms)
    if run.status is RunStatus.FINISHED:
        return Begun([run], None, LanguageModels(None, None), registry)
    # Runs of earlier releases have no such setting.
    models = open_language_models(run.investigator, run.settings.get("grader"))
    check_cost_bound(Budget.model_validate(run.settings["budget"]), models)
    tell_unknown_prices(models)
    return Begun([run], open_pair(target), models, registry)


def _registry_of(organism: str, target: Target, organisms: Path | None) -> Registry | None:
    """The registry, if what it has under this name is the model that was investigated."""
    from finetrace.registry import load_registry

    try:
        registry = load_registry(organisms)
        place = registry.locate(registry.find(organism))
    except FinetraceError:
        return None  # the run was of a model or a file, or the entry has gone since: no truth to show, no fault
    return registry if place.model == target.model else None
