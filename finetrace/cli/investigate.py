"""`finetrace investigate`: one model, from the first look to the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli import console
from finetrace.cli.budget import Interactions, MaxCalls, MaxCost, MaxSeconds, MaxTokens, MaxTokensOut
from finetrace.cli.grader import GraderOption
from finetrace.cli.organisms import OrganismsFile
from finetrace.cli.resuming import check_left_out, check_resumable

if TYPE_CHECKING:
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
    max_tokens_out: MaxTokensOut = None,
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
    runs: Annotated[
        int, typer.Option(min=1, max=20, help="Investigate so many times, each with a seed of its own.")
    ] = 1,
    merge: Annotated[bool, typer.Option("--merge", help="Merge the answers of the runs into one.")] = False,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped.")] = None,
    organisms: OrganismsFile = None,
    truth: Annotated[bool, typer.Option(help="Show the true objective and the grade, where it is known.")] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; an array for several runs that are not merged.")
    ] = False,
) -> None:
    """Work out what a model was finetuned for: every claim quotes its evidence and is put to fresh samples."""
    from finetrace.agent import Budget, Thoroughness
    from finetrace.cli.beginning import begin, reopen
    from finetrace.cli.comparing import grade_runs, show_comparison
    from finetrace.cli.following import follow
    from finetrace.cli.planning import check_several, make_plan
    from finetrace.cli.report import show_reports
    from finetrace.cli.target import resolve
    from finetrace.store import Store

    with Store() as store:
        if resume is not None:
            run = store.find(resume)
            check_resumable(run, organism, model, recorded, reference)
            check_left_out(run, context)
            begun = reopen(run, organisms)
        else:
            named = resolve(organism, model, reference, recorded, organisms, one_at_a_time=one_at_a_time)
            budget = Budget(
                interactions=interactions,
                llm_calls=max_calls,
                tokens=max_tokens,
                tokens_out=max_tokens_out,
                cost_usd=max_cost,
                seconds=max_seconds,
            )
            thoroughness = Thoroughness(quick=quick, corpora=tuple(corpus) if corpus else None, n_prefills=prefills)
            check_several(investigator, runs, merge=merge)
            planned = make_plan(named, arm, investigator, grader, seed, budget, thoroughness, context)
            begun = begin(planned, named.registry, runs, merge=merge, store=store)
        done: list[str] = []
        try:
            for run in begun.runs:
                done.append(run.run_id)
                ended = run if begun.pair is None else follow(run, begun.pair, begun.models, store)
                if not as_json:
                    _show(ended, store.steps(run.run_id))
            if truth and begun.registry is not None:
                grade_runs(done, store, begun.registry.path)
        finally:
            # Also where one failed or was stopped: the object says so, and names the run.
            if as_json and done:
                _print_json(store, done, several=runs > 1 and not merge)
        if as_json:
            return
        if truth and begun.registry is not None:
            show_comparison(done, store, ended.organism, begun.registry.path)
        show_reports(done, store)


def _print_json(store: Store, run_ids: Sequence[str], *, several: bool) -> None:
    from finetrace.cli.json_form import run_json

    grades = store.grades(list(run_ids))
    shown = [run_json(store.run(each), [grade for grade in grades if grade.run_id == each]) for each in run_ids]
    console.print_json(shown if several else shown[0])


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
