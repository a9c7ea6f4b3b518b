"""What the options of `finetrace bench` ask for, and what it will take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from finetrace.cli.judging import grader_names, tell_repeats
from finetrace.cli.language_models import remark
from finetrace.errors import FinetraceError, closest

if TYPE_CHECKING:
    from finetrace.agent import Budget, Thoroughness
    from finetrace.evals.bench.plan import BenchSettings
    from finetrace.evals.bench.protocols import Protocol


ALONE = "/."
"""After a name: that model alone, where the name is also the beginning of others."""


class Asked(NamedTuple):
    """The options."""

    organisms: tuple[str, ...]
    arms: str
    arms_file: Path | None
    seeds: int
    investigators: tuple[str, ...]
    graders: tuple[str, ...]
    grades: int
    protocol: str | None
    budget: Budget
    thoroughness: Thoroughness
    registry: Path | None


def settings_for(asked: Asked, typed: frozenset[str]) -> BenchSettings:
    """What is to be done.

    Args:
        asked: The options.
        typed: Names of options that go before what a protocol says.

    Raises:
        FinetraceError: Something asked for does not exist, or nobody knows what to grade against.
    """
    from finetrace.evals.bench.arms_file import read_arms
    from finetrace.evals.bench.plan import BenchSettings, OwnArm
    from finetrace.evals.bench.protocols import find_protocol

    protocol = None if asked.protocol is None else find_protocol(asked.protocol)
    judge, *beside = grader_names(asked.graders)
    own = {} if asked.arms_file is None else read_arms(asked.arms_file)
    arms = _parts(asked.arms)
    if protocol is not None and "arms" not in typed:
        arms = protocol.arms
    elif own and "arms" not in typed:
        arms = tuple(own)
    brought = {name: OwnArm(instruments=arm.instruments, interactions=arm.interactions) for name, arm in own.items()}
    file, names = _organisms(asked, protocol)
    settings = BenchSettings(
        registry=str(file),
        organisms=names,
        arms=arms,
        own_arms=brought,
        seeds=asked.seeds if protocol is None or "seeds" in typed else protocol.seeds,
        investigators=tuple(dict.fromkeys(name for each in asked.investigators for name in _parts(each))),
        budget=_budget(asked, protocol),
        thoroughness=asked.thoroughness,
        judge=judge,
        judges_beside=tuple(beside),
        grades=asked.grades if protocol is None or "grades" in typed else protocol.grades,
        protocol=asked.protocol,
    )
    _check(settings)
    return settings


def _parts(text: str) -> tuple[str, ...]:
    """``a,b`` as its parts, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _organisms(asked: Asked, protocol: Protocol | None) -> tuple[Path, tuple[str, ...]]:
    """The registry's file, and full names in its order; those beside the file where none are named."""
    from finetrace.evals.truth import load_truth
    from finetrace.registry import load_registry

    registry = load_registry(asked.registry)
    patterns = tuple(part for text in asked.organisms for part in _parts(text))
    patterns = patterns or (() if protocol is None else protocol.organisms)
    alone = {registry.find(each.removesuffix(ALONE)).name for each in patterns if each.endswith(ALONE)}
    wider = [each for each in patterns if not each.endswith(ALONE)]
    chosen = alone | {each.name for each in (registry.select(wider) if wider or not patterns else ())}
    names = tuple(
        each.name for each in registry.organisms if each.name in chosen and (patterns or registry.is_bundled(each))
    )
    if not names:
        raise FinetraceError(f"no organism in {registry.path} has its model beside it", "name some with --organisms")
    for name in names:
        load_truth(name, registry.path)
    return registry.path, names


def _budget(asked: Asked, protocol: Protocol | None) -> Budget:
    """Typed bounds, where there are none those of the protocol."""
    if protocol is None:
        return asked.budget
    return protocol.budget.model_copy(update=asked.budget.model_dump(exclude_none=True))


def _check(settings: BenchSettings) -> None:
    """Make sure that arms, investigators and their keys are there before anything is written."""
    from finetrace.agent import make_investigator
    from finetrace.cli.budget import check_cost_bound
    from finetrace.cli.language_models import open_language_models, tell_unknown_prices

    if not settings.arms:
        raise FinetraceError("no arm is named", closest("", ("blackbox", "perplexity", "activation", "full")))
    for arm in settings.arms:
        settings.arm(arm)
    for name in settings.investigators:
        make_investigator(name)
        models = open_language_models(name, None)
        check_cost_bound(settings.budget, models)
        tell_unknown_prices(models)


def tell_plan(settings: BenchSettings) -> None:
    """Say on standard error what will be done and what it will take at most."""
    n_arms, n_who = len(settings.arms), len(settings.investigators)
    runs = len(settings.organisms) * n_arms * n_who * settings.seeds
    asked = 0
    for name in settings.arms:
        bound = settings.budget.interactions
        asked += settings.arm(name).interactions if bound is None else bound
    most = asked * len(settings.organisms) * n_who * settings.seeds
    remark(
        f"{len(settings.organisms)} organisms × {n_arms} arms × {settings.seeds} seeds × {n_who} investigators: "
        f"{runs} runs, {most:,} organism interactions at most, graded by {' and '.join(settings.judges)}"
    )
    tell_repeats(settings.judges, settings.grades)
    for name in settings.investigators:
        remark(f"estimate for {name}: {_estimate(settings, name)}")
    for name in settings.judges:
        if told := _grading(settings, name, runs // len(settings.organisms)):
            remark(f"estimate for grading by {name}: {told}")


def _estimate(settings: BenchSettings, investigator: str) -> str:
    """What one investigator will take over all organisms and seeds."""
    from finetrace.agent.estimate import Estimate, estimate, size_with
    from finetrace.agent.statistical import STATISTICAL
    from finetrace.llm import LanguageModel
    from finetrace.tools import INSTRUMENTS

    if investigator == STATISTICAL:
        return "no language model, $0.00"
    model = LanguageModel(investigator)
    whole: Estimate | None = None
    for name in settings.arms:
        size = size_with([INSTRUMENTS[each] for each in settings.arm(name).instruments], model.window)
        one = estimate(size, settings.budget, model.price)
        whole = one if whole is None else whole + one
    return "nothing" if whole is None else str(whole.times(len(settings.organisms) * settings.seeds))


def _grading(settings: BenchSettings, judge: str, runs: int) -> str:
    """What one grader will take for all its grades; empty where it asks no language model.

    Args:
        settings: Of the benchmark.
        judge: Who grades.
        runs: Of each organism.
    """
    from finetrace.cli.language_models import LanguageModels, tell_unknown_prices
    from finetrace.evals.bench.grading import OFFLINE, open_grading_model
    from finetrace.evals.grading.estimate import estimate_grading
    from finetrace.evals.truth import load_truth

    if judge == OFFLINE:
        return ""
    model = open_grading_model(judge)
    tell_unknown_prices(LanguageModels(None, model))
    truths = [load_truth(name, Path(settings.registry)) for name in settings.organisms]
    return str(estimate_grading(truths, model.price).times(runs * settings.grades))
