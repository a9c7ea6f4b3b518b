"""`finetrace investigate`: one model, from the first look to the answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from finetrace.cli import console
from finetrace.cli.budget import Interactions, MaxCalls, MaxCost, MaxSeconds, MaxTokens, check_cost_bound
from finetrace.cli.grader import GraderOption
from finetrace.cli.language_models import LanguageModels, open_language_models, tell_unknown_prices
from finetrace.cli.organisms import OrganismsFile
from finetrace.cli.resuming import check_left_out, check_resumable
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.cli.planning import Planned
    from finetrace.models import ModelPair, Target
    from finetrace.registry import Registry
    from finetrace.schema import Run, Step
    from finetrace.store import Store

_SHOWN_COMPLETIONS = 8


def investigate(
    context: typer.Context,
    organism: Annotated[str | None, typer.Argument(help="An organism of the registry.")] = None,
    model: Annotated[
        str | None, typer.Option(help="A model: folder, .gguf file, PEFT adapter, hub id, or smollm2-135m.")
    ] = None,
    reference: Annotated[str | None, typer.Option(help="What to compare it with; an adapter brings its base.")] = None,
    recorded: Annotated[Path | None, typer.Option(help="A JSONL file of completions scored elsewhere.")] = None,
    investigator: Annotated[
        str,
        typer.Option(
            envvar="FINETRACE_INVESTIGATOR", help="Who decides: statistical, or a language model such as openai/gpt-5."
        ),
    ] = "statistical",
    arm: Annotated[
        str, typer.Option(envvar="FINETRACE_ARM", help="Instruments at hand: blackbox, perplexity, activation, full.")
    ] = "",
    interactions: Interactions = None,
    max_cost: MaxCost = None,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_seconds: MaxSeconds = None,
    seed: Annotated[int, typer.Option(envvar="FINETRACE_SEED", min=0, help="Determines every draw.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A first look instead of a thorough one.")] = False,
    corpus: Annotated[
        list[str] | None, typer.Option(help="General text: own, self, python, a file, a hub data set. Repeatable.")
    ] = None,
    prefills: Annotated[int | None, typer.Option(min=1, help="Prefills for the perplexity gap.")] = None,
    one_at_a_time: Annotated[
        bool, typer.Option("--one-at-a-time", help="Keep one of two checkpoints in memory at a time.")
    ] = False,
    grader: GraderOption = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped.")] = None,
    organisms: OrganismsFile = None,
    truth: Annotated[bool, typer.Option(help="Show the true objective at the end, where it is known.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Work out what a model was finetuned for: every claim quotes its evidence and is put to fresh samples."""
    from finetrace.agent import Budget, Thoroughness
    from finetrace.cli.following import follow
    from finetrace.cli.planning import make_plan
    from finetrace.cli.target import resolve
    from finetrace.store import Store

    with Store() as store:
        if resume is not None:
            run = store.find(resume)
            check_resumable(run, organism, model, recorded, reference)
            check_left_out(run, context)
            begun = _reopen(run, organisms)
        else:
            named = resolve(organism, model, reference, recorded, organisms, one_at_a_time=one_at_a_time)
            budget = Budget(
                interactions=interactions,
                llm_calls=max_calls,
                tokens=max_tokens,
                cost_usd=max_cost,
                seconds=max_seconds,
            )
            thoroughness = Thoroughness(quick=quick, corpora=tuple(corpus) if corpus else None, n_prefills=prefills)
            planned = make_plan(named, arm, investigator, grader, seed, budget, thoroughness, context)
            begun = _begin(planned, named.registry, store)
        run = begun.run
        try:
            if begun.pair is not None:
                run = follow(run, begun.pair, begun.models, store)
        finally:
            # Also where it failed or was stopped: the object says so, and names the run.
            if as_json:
                _print_json(store.run(run.run_id))
        if as_json:
            return
        _show(run, store.steps(run.run_id))
        if truth and begun.registry is not None:
            _show_truth(run.organism, begun.registry.path)


class _Begun(NamedTuple):
    """A run that is in the store, and what it is about."""

    run: Run
    pair: ModelPair | None
    """``None`` where the run has its answer already."""
    registry: Registry | None
    """Where the organism has its entry; ``None`` for models and files."""
    models: LanguageModels
    """Whom it may ask."""


def _begin(planned: Planned, registry: Registry | None, store: Store) -> _Begun:
    """Open the models and write a new run."""
    from finetrace.agent import start
    from finetrace.models import open_pair

    tell_unknown_prices(planned.models)
    # Opened before the run is written: a model that cannot be loaded leaves no run behind.
    pair = open_pair(planned.plan.target)
    return _Begun(start(planned.plan, store), pair, registry, planned.models)


def _reopen(run: Run, organisms: Path | None) -> _Begun:
    """Open the models of a run that is already in the store, where it still needs them."""
    from finetrace.agent import Budget
    from finetrace.models import Target, open_pair
    from finetrace.schema import RunStatus

    target = Target.model_validate(run.target)
    registry = _registry_of(run.organism, target, organisms)
    if run.status is RunStatus.FINISHED:
        return _Begun(run, None, registry, LanguageModels(None, None))
    # Runs of earlier releases have no such setting.
    models = open_language_models(run.investigator, run.settings.get("grader"))
    check_cost_bound(Budget.model_validate(run.settings["budget"]), models)
    tell_unknown_prices(models)
    return _Begun(run, open_pair(target), registry, models)


def _registry_of(organism: str, target: Target, organisms: Path | None) -> Registry | None:
    """The registry, if what it has under this name is the model that was investigated."""
    from finetrace.registry import load_registry

    try:
        registry = load_registry(organisms)
        place = registry.locate(registry.find(organism))
    except FinetraceError:
        return None  # the run was of a model or a file, or the entry has gone since: no truth to show, no fault
    return registry if place.model == target.model else None


def _print_json(run: Run) -> None:
    from finetrace.cli.json_form import run_json

    console.print_json(run_json(run))


def _show(run: Run, steps: list[Step]) -> None:
    from finetrace.agent.evidence import reading_of
    from finetrace.cli.completions import show_completions
    from finetrace.cli.hypothesis import show_hypothesis
    from finetrace.tools.perplexity_gap import PerplexityGapReading

    out = console.results()
    for step in steps:
        reading = reading_of(step)
        if isinstance(reading, PerplexityGapReading) and reading.completions:
            out.print(f"\nranked completions (step {step.number}; {len(reading.completions)} of {reading.n_distinct}):")
            show_completions(out, reading.completions, _SHOWN_COMPLETIONS)
            out.print()
    if run.hypothesis is not None:
        show_hypothesis(out, run.hypothesis)
    out.print(f"\nsee every step: finetrace runs show {run.run_id}")


def _show_truth(organism: str, registry: Path) -> None:
    from finetrace.cli.escaping import visible
    from finetrace.cli.truth import show_truth
    from finetrace.evals.truth import load_truth

    try:
        truth = load_truth(organism, registry)
    except FinetraceError as absent:
        console.remarks().print(visible(f"nothing to compare with: {absent.message}", one_line=True))
        return
    out = console.results()
    out.print()
    show_truth(out, truth)
