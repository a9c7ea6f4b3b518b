"""The results of a benchmark: tables in the terminal, one JSON object, or a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetrace.cli import console
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from rich.console import Console

    from finetrace.evals.bench.graders import Graders
    from finetrace.evals.bench.plan import BenchSettings
    from finetrace.evals.statistics.analysis import Analysis
    from finetrace.evals.statistics.beside import Beside
    from finetrace.evals.statistics.outcome import Outcome
    from finetrace.schema import BenchRecord


def write_rows(outcomes: Sequence[Outcome], csv: Path) -> None:
    """Write the file with a row for each grade of each run.

    Raises:
        FinetraceError: It cannot be written.
    """
    from finetrace.cli.language_models import remark
    from finetrace.evals.statistics.hibayes import write_hibayes

    try:
        table = write_hibayes(outcomes, csv)
    except OSError as fault:
        raise FinetraceError(f"cannot write {csv}: {fault.strerror or fault}", "name another file") from fault
    remark(f"{table.rows} rows in {csv}, {table.unscored} without a score")


def report(
    record: BenchRecord, settings: BenchSettings, outcomes: Sequence[Outcome], graders: Graders, *, as_json: bool
) -> None:
    """Show everything."""
    from finetrace.cli.bench_command import command_of
    from finetrace.cli.bench_tables import Tables
    from finetrace.evals.statistics.analysis import analyse

    analysis = analyse(outcomes)
    published = _published(settings, analysis)
    if as_json:
        told = bench_json(record, settings, outcomes, analysis, published)
        console.print_json(told | {"graders": graders.model_dump(mode="json")})
        return
    out = console.results()
    Tables(out, analysis).show()
    _show_graders(out, graders)
    _show_published(out, settings, published)
    _show_cost(out, outcomes)
    out.print(f"\nsee it again: finetrace bench --resume {record.bench_id}")
    out.print(_line(f"make it again: {command_of(settings)}"), soft_wrap=True)


def _show_cost(out: Console, outcomes: Sequence[Outcome]) -> None:
    from finetrace.evals.statistics.results import of_runs
    from finetrace.schema import Usage

    used = sum((run.usage for run in of_runs(outcomes)), Usage())
    cost = "unknown" if used.cost_usd is None else f"${used.cost_usd:.2f}"
    out.print(f"\nruns took {used.seconds / 60:.0f} minutes in all, {used.llm_calls:,} LLM calls, cost {cost}")


def _show_graders(out: Console, graders: Graders) -> None:
    """What language models that grade took, and how far graders agree."""
    from finetrace.cli.escaping import visible
    from finetrace.cli.judging import show_agreement

    for each in graders.work:
        used = each.usage
        if used.llm_calls:
            cost = "cost unknown" if used.cost_usd is None else f"${used.cost_usd:.2f}"
            line = f"graded by {each.grader}: {each.grades} grades, {each.unscored} without a score, {cost}"
            out.print(visible(f"{line}, {used.llm_calls} calls, {used.tokens:,} tokens", one_line=True), soft_wrap=True)
    show_agreement(out, graders.agreement)


def bench_json(
    record: BenchRecord,
    settings: BenchSettings,
    outcomes: Sequence[Outcome],
    analysis: Analysis,
    published: Sequence[Beside],
) -> dict[str, Any]:
    """What ``finetrace bench --json`` prints."""
    from finetrace.cli.bench_command import command_of

    return {
        "bench_id": record.bench_id,
        "version": record.version,
        "command": command_of(settings),
        "settings": settings.model_dump(mode="json"),
        "runs": [_row(outcome) for outcome in outcomes],
        "analysis": analysis.model_dump(mode="json"),
        "published": [number.model_dump(mode="json") for number in published],
        "differs": list(_differs(settings)),
    }


def _row(outcome: Outcome) -> dict[str, Any]:
    """One run under one grade, with what the grade comes to beside it."""
    row = outcome.model_dump(mode="json")
    grade = outcome.grade
    row["score"] = None if grade is None else grade.score
    row["detected"] = None if grade is None else grade.detected
    row["identification_rank"] = None if grade is None else grade.identification_rank
    return row


def _published(settings: BenchSettings, analysis: Analysis) -> tuple[Beside, ...]:
    """The papers' numbers with ours beside them."""
    from finetrace.evals.bench.protocols import find_protocol
    from finetrace.evals.statistics.beside import beside
    from finetrace.evals.statistics.published import load_published

    if settings.protocol is None:
        return ()
    protocol = find_protocol(settings.protocol)
    return beside(load_published().of(protocol.source), protocol, analysis)


def _differs(settings: BenchSettings) -> tuple[str, ...]:
    from finetrace.evals.bench.protocols import find_protocol

    return () if settings.protocol is None else find_protocol(settings.protocol).differs


def _show_published(out: Console, settings: BenchSettings, numbers: Sequence[Beside]) -> None:
    """The papers' numbers, marked as such, with ours in a column of their own."""
    from finetrace.cli.bench_tables import new_table, share_text
    from finetrace.evals.bench.protocols import find_protocol
    from finetrace.evals.statistics.published import Basis, load_published

    if not numbers or settings.protocol is None:
        return
    source = load_published().sources[find_protocol(settings.protocol).source]
    table = new_table("published, not ours: arm", "part", "measure", "published", "ours")
    for each in numbers:
        number = each.published
        asked = "" if number.interactions is None else f" @{number.interactions}"
        scale = 100.0 if number.unit == "share" else 1.0
        top = "" if number.high is None else f" to {scale * number.high:g}"
        unit = "" if number.unit == "share" else f" {number.unit}"
        ours = "; ".join(f"{_line(held.arm)}: {share_text(held.figure)}" for held in each.ours)
        table.add_row(
            f"{number.arm}{asked}", number.regime, number.measure, f"{scale * number.value:g}{top}{unit}", ours or "–"
        )
    out.print()
    out.print(table)
    version = f" ({source.version})" if source.version else ""
    out.print(f"published: {source.title}{version}, {source.address}; shares in %", soft_wrap=True)
    if any(each.published.basis is Basis.NOTE for each in numbers):
        out.print("read in excerpts and reviews: check them in the paper before you quote them", soft_wrap=True)
    for each in numbers:
        if each.published.note:
            out.print(f"{each.published.arm}: {each.published.note}", soft_wrap=True)
    for line in _differs(settings):
        out.print(f"not as published: {line}", soft_wrap=True)


def _line(text: str) -> str:
    from finetrace.cli.escaping import visible

    return visible(text, one_line=True)
