"""`finetrace investigate`: one model, from the first look to the answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from finetrace.cli import console
from finetrace.cli.exits import Interrupted
from finetrace.cli.grader import GraderOption, open_grader, tell_usage, wanted_grader
from finetrace.cli.organisms import OrganismsFile
from finetrace.cli.resuming import check_left_out, check_resumable
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.agent import Budget, Plan, Thoroughness
    from finetrace.cli.target import Named
    from finetrace.llm import LanguageModel
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
        str, typer.Option(envvar="FINETRACE_INVESTIGATOR", help="Who decides: statistical.")
    ] = "statistical",
    arm: Annotated[
        str, typer.Option(envvar="FINETRACE_ARM", help="Instruments at hand: blackbox, perplexity, activation, full.")
    ] = "",
    interactions: Annotated[
        int | None, typer.Option(min=0, help="How often the organism may be asked; default by arm.")
    ] = None,
    max_seconds: Annotated[float | None, typer.Option(min=0, help="Ask for the answer after so many seconds.")] = None,
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
            budget = Budget(interactions=interactions, seconds=max_seconds)
            thoroughness = Thoroughness(quick=quick, corpora=tuple(corpus) if corpus else None, n_prefills=prefills)
            plan = _plan(named, arm, investigator, seed, budget, thoroughness)
            plan = replace(plan, grader=_grader_of(plan.arm, grader, context))
            begun = _begin(plan, named.registry, store)
        run = begun.run
        try:
            if begun.pair is not None:
                run = _carry_out(run, begun.pair, begun.grader, store)
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
    grader: LanguageModel | None
    """Whom instruments may ask."""


def _begin(plan: Plan, registry: Registry | None, store: Store) -> _Begun:
    """Open the models and write a new run."""
    from finetrace.agent import start
    from finetrace.models import open_pair

    # Opened before the run is written: a model that cannot be loaded leaves no run behind.
    grader = open_grader(plan.grader)
    pair = open_pair(plan.target)
    return _Begun(start(plan, store), pair, registry, grader)


def _reopen(run: Run, organisms: Path | None) -> _Begun:
    """Open the models of a run that is already in the store, where it still needs them."""
    from finetrace.models import Target, open_pair
    from finetrace.schema import RunStatus

    target = Target.model_validate(run.target)
    registry = _registry_of(run.organism, target, organisms)
    if run.status is RunStatus.FINISHED:
        return _Begun(run, None, registry, None)
    grader = open_grader(run.settings.get("grader"))  # runs of earlier releases have no such setting
    return _Begun(run, open_pair(target), registry, grader)


def _registry_of(organism: str, target: Target, organisms: Path | None) -> Registry | None:
    """The registry, if what it has under this name is the model that was investigated."""
    from finetrace.registry import load_registry

    try:
        registry = load_registry(organisms)
        place = registry.locate(registry.find(organism))
    except FinetraceError:
        return None  # the run was of a model or a file, or the entry has gone since: no truth to show, no fault
    return registry if place.model == target.model else None


def _plan(named: Named, arm: str, investigator: str, seed: int, budget: Budget, thoroughness: Thoroughness) -> Plan:
    """What the options ask for, with the defaults of the arm."""
    from finetrace.agent import Plan, find_arm, make_investigator
    from finetrace.tools.corpora import check_corpus

    chosen = find_arm(arm or _default_arm(named))
    make_investigator(investigator)
    for spec in thoroughness.corpora or ():
        check_corpus(spec)
    if budget.interactions is None:
        budget = budget.model_copy(update={"interactions": chosen.interactions})
    return Plan(
        organism=named.organism,
        alias=named.alias,
        target=named.target,
        arm=chosen.name,
        investigator=investigator,
        seed=seed,
        budget=budget,
        thoroughness=thoroughness,
    )


def _grader_of(arm: str, grader: str | None, context: typer.Context) -> str | None:
    """The grader, where the arm has an instrument that would ask it."""
    from finetrace.agent import find_arm
    from finetrace.tools import find_instrument

    return wanted_grader(grader, map(find_instrument, find_arm(arm).instruments), f"the arm {arm}", context)


def _print_json(run: Run) -> None:
    from finetrace.cli.json_form import run_json

    console.print_json(run_json(run))


def _default_arm(named: Named) -> str:
    """The perplexity gap where it can be had, plain questions where there is no reference."""
    from finetrace.models.source import SourceKind, find_model

    target = named.target
    if target.recorded is not None or target.reference is not None:
        return "perplexity"
    source = find_model(target.model or "", Path(target.folder) if target.folder else None)
    return "perplexity" if source.kind is SourceKind.ADAPTER else "blackbox"


def _carry_out(run: Run, pair: ModelPair, grader: LanguageModel | None, store: Store) -> Run:
    """Go on with the run, with progress on standard error."""
    from finetrace.agent import investigate as go_on
    from finetrace.cli.escaping import visible
    from finetrace.cli.progress import progress_bar
    from finetrace.settings import get_settings
    from finetrace.tools import Context

    remarks = console.remarks()
    about = f"run {run.run_id} · {run.organism} · arm {run.arm} · seed {run.seed}"
    remarks.print(visible(about, one_line=True), soft_wrap=True)
    with _resumable(f"finetrace investigate --resume {run.run_id}"), progress_bar(remarks) as advance:
        try:
            return go_on(
                run,
                pair,
                store,
                Context(seed=run.seed, progress=advance, grader=grader),
                get_settings().data_dir / "checkpoints.db",
                on_step=lambda step: remarks.print(_step_line(step)),
            )
        finally:
            tell_usage(grader)


@contextlib.contextmanager
def _resumable(again: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Interrupted(again) from stop


def _step_line(step: Step) -> str:
    """One line of progress for a step that is done."""
    from finetrace.cli.escaping import visible

    what = step.instrument or step.kind.value
    view = f" ({step.arguments['view']})" if "view" in step.arguments else ""
    outcome = f"failed: {step.error}" if step.error else f"{step.usage.seconds:.1f} s"
    return visible(f"step {step.number}: {what}{view} · {outcome}", one_line=True)


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
