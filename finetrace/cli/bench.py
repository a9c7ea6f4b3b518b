"""`finetrace bench`: investigators and instruments measured on many organisms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli.budget import Interactions, MaxCalls, MaxCost, MaxSeconds, MaxTokens, MaxTokensOut
from finetrace.cli.exits import Interrupted
from finetrace.cli.grader import is_on_command_line
from finetrace.cli.judging import GraderNames, GradesOfEach
from finetrace.errors import FinetraceError, WorkError

if TYPE_CHECKING:
    from finetrace.evals.bench.plan import BenchSettings
    from finetrace.schema import BenchRecord
    from finetrace.store import Store

_OF_ANY_BENCH = frozenset({"resume", "workers", "yes", "as_json", "csv"})
"""Options that a benchmark that goes on may have; the others it has from its beginning."""


def bench(
    context: typer.Context,
    organisms: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Names, families or patterns, with commas or repeated; default bundled."),
    ] = None,
    arms: Annotated[
        str, typer.Option(metavar="A,B", help="Arms such as full, blackbox@5 or one of --arms-file.")
    ] = "blackbox@50,perplexity,activation,full",
    arms_file: Annotated[Path | None, typer.Option(metavar="FILE", help="YAML file with arms of your own.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each organism in each arm.")] = 1,
    investigator: Annotated[
        list[str] | None, typer.Option(help="Who decides: statistical (default) or a language model. Repeatable.")
    ] = None,
    grader: GraderNames = None,
    grades: GradesOfEach = 1,
    protocol: Annotated[
        str | None, typer.Option(help="A published set-up: adl or auditbench; options typed besides go before it.")
    ] = None,
    interactions: Interactions = None,
    max_cost: MaxCost = None,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_tokens_out: MaxTokensOut = None,
    max_seconds: MaxSeconds = None,
    quick: Annotated[bool, typer.Option("--quick", help="A first look in each run instead of a thorough one.")] = False,
    prefills: Annotated[int | None, typer.Option(min=1, help="Prefills for the perplexity gap.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; each takes an organism at a time.")] = 1,
    resume: Annotated[str | None, typer.Option(metavar="ID", help="Go on with a benchmark, or show it again.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking.")] = False,
    registry: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="FINETRACE_ORGANISMS", help="Organisms file; default ./organisms.yaml."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all rows, in HiBayes' columns.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run organisms × arms × seeds × investigators, grade every answer, and show what each arm scored.

    Stopped at any moment, even by kill -9, it goes on with --resume ID and ends with the same table.
    """
    from finetrace.agent import Budget, Thoroughness
    from finetrace.cli.bench_plan import Asked, settings_for, tell_plan
    from finetrace.evals.bench.plan import begin, settings_of
    from finetrace.store import Store

    with Store() as store:
        if resume is not None:
            record = store.find_bench(resume)
            _check_left_out(record, context)
        else:
            typed = {name for name in ("arms", "seeds", "grades") if is_on_command_line(context, name)}
            asked = Asked(
                organisms=tuple(organisms or ()),
                arms=arms,
                arms_file=arms_file,
                seeds=seeds,
                investigators=tuple(investigator or ("statistical",)),
                graders=tuple(grader or ()),
                grades=grades,
                protocol=protocol,
                budget=Budget(
                    interactions=interactions,
                    llm_calls=max_calls,
                    tokens=max_tokens,
                    tokens_out=max_tokens_out,
                    cost_usd=max_cost,
                    seconds=max_seconds,
                ),
                thoroughness=Thoroughness(quick=quick, n_prefills=prefills),
                registry=registry,
            )
            settings = settings_for(asked, frozenset(typed))
            tell_plan(settings)
            _confirm(yes)
            record = begin(settings, store)
        _go_on(record, settings_of(record), store, workers, csv=csv, as_json=as_json)


def _confirm(yes: bool) -> None:
    """Ask whether to begin.

    Raises:
        FinetraceError: Nobody can answer.
    """
    import sys

    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise FinetraceError("the estimate is to be confirmed, and nobody can answer here", "add --yes")
    if not typer.confirm("begin?", default=True, err=True):
        raise typer.Exit()


def _go_on(
    record: BenchRecord, settings: BenchSettings, store: Store, workers: int, *, csv: Path | None, as_json: bool
) -> None:
    """Do what is left, then show everything.

    Raises:
        Interrupted: Stopped with Ctrl-C.
        WorkError: Every run failed.
    """
    from finetrace.cli.bench_progress import watching
    from finetrace.cli.bench_report import report, write_rows
    from finetrace.cli.language_models import remark
    from finetrace.evals.bench.engine import engine_for
    from finetrace.evals.bench.graders import graders_of
    from finetrace.evals.bench.outcomes import outcomes_by_all, outcomes_of
    from finetrace.evals.bench.plan import alone_with, batches_of, left_of, units_of

    units = units_of(record)
    again = f"finetrace bench --resume {record.bench_id}"
    try:
        with alone_with(record):
            left = left_of(settings, units, store)
            remark(f"bench {record.bench_id} · {len(units)} runs, {len(left)} to do")
            with watching(units, settings, left):
                for faults in engine_for(workers).run(batches_of(settings, left)):
                    for fault in faults:
                        remark(f"{fault.run_id}: {fault.message}")
    except KeyboardInterrupt as stop:
        raise Interrupted(again) from stop
    outcomes = outcomes_of(settings, units, store)
    if csv is not None:
        write_rows(outcomes_by_all(settings, units, store), csv)
    report(record, settings, outcomes, graders_of(settings, units, store), as_json=as_json)
    if outcomes and all(outcome.error is not None for outcome in outcomes):
        raise WorkError(f"every run failed, the first with: {outcomes[0].error}", f"correct that, then: {again}")


def _check_left_out(record: BenchRecord, context: typer.Context) -> None:
    """Refuse options that only a new benchmark can have.

    Raises:
        FinetraceError: One was typed.
    """
    given = [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if parameter.name not in _OF_ANY_BENCH and is_on_command_line(context, parameter.name or "")
    ]
    if given:
        raise FinetraceError(
            f"benchmark {record.bench_id} has its options already",
            f"leave {' and '.join(given)} out, or start a new benchmark",
        )
