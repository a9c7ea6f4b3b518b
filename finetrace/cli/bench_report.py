"""The results of a benchmark: tables in the terminal, one JSON object, or a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetrace.cli import console
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from finetrace.evals.analysis import Analysis
    from finetrace.evals.bench.graders import Graders
    from finetrace.evals.bench.plan import BenchSettings
    from finetrace.evals.breakdown import Slice
    from finetrace.evals.intervals import Interval
    from finetrace.evals.outcome import Measure, Outcome
    from finetrace.evals.permutation import PairedTest
    from finetrace.evals.published import PublishedNumber
    from finetrace.schema import BenchRecord

_HEADS = {
    "score": "score",
    "score_at_least_2": "≥ 2",
    "score_at_least_4": "≥ 4",
    "detected": "detected",
    "identified_at_1": "@1",
    "identified_at_5": "@5",
}
"""Columns of every table, by measure."""


def write_rows(outcomes: Sequence[Outcome], csv: Path) -> None:
    """Write the file with a row for each grade of each run.

    Raises:
        FinetraceError: It cannot be written.
    """
    from finetrace.cli.language_models import remark
    from finetrace.evals.hibayes import write_hibayes

    try:
        table = write_hibayes(outcomes, csv)
    except OSError as fault:
        raise FinetraceError(f"cannot write {csv}: {fault.strerror or fault}", "name another file") from fault
    remark(f"{table.rows} rows in {csv}, {table.unscored} without a score")


def report(
    record: BenchRecord, settings: BenchSettings, outcomes: Sequence[Outcome], graders: Graders, *, as_json: bool
) -> None:
    """Show everything."""
    from finetrace.evals.analysis import analyse

    analysis = analyse(outcomes)
    published = _published(settings)
    if as_json:
        told = bench_json(record, settings, outcomes, analysis, published)
        console.print_json(told | {"graders": graders.model_dump(mode="json")})
        return
    out = console.results()
    _show(out, analysis, settings)
    _show_graders(out, graders)
    _show_published(out, settings, published)
    out.print(f"\nsee it again: finetrace bench --resume {record.bench_id}")


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
    published: Sequence[PublishedNumber],
) -> dict[str, Any]:
    """What ``finetrace bench --json`` prints."""
    return {
        "bench_id": record.bench_id,
        "version": record.version,
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


def _published(settings: BenchSettings) -> tuple[PublishedNumber, ...]:
    """The papers' numbers that belong beside this table."""
    from finetrace.evals.protocols import find_protocol
    from finetrace.evals.published import load_published

    return () if settings.protocol is None else load_published().of(find_protocol(settings.protocol).source)


def _differs(settings: BenchSettings) -> tuple[str, ...]:
    from finetrace.evals.protocols import find_protocol

    return () if settings.protocol is None else find_protocol(settings.protocol).differs


def _table(*heads: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number == 0 else "right", overflow="fold")
    return table


def _show(out: Console, analysis: Analysis, settings: BenchSettings) -> None:
    """Arms, comparisons, slices, use of instruments, errors."""
    from finetrace.cli.escaping import visible

    several = len(settings.investigators) > 1
    table = _table("arm", "organisms", "runs", "errors", *_HEADS.values(), "nulls", "cost")
    for arm in analysis.arms:
        name = f"{arm.investigator} · {arm.arm}" if several else arm.arm
        nulls = None if arm.nulls is None else arm.nulls.false_positives
        counts = arm.counts
        cost = "unknown" if arm.usage.cost_usd is None else f"${arm.usage.cost_usd:.2f}"
        numbers = (str(counts.organisms), str(counts.runs), str(counts.errors))
        table.add_row(visible(name, one_line=True), *numbers, *_cells(arm.figures), _share(nulls), cost)
    out.print(table)
    out.print("rates in %, with 95 % intervals over organisms; nulls: runs that call one finetuned", soft_wrap=True)
    _show_comparisons(out, analysis)
    for by in dict.fromkeys(each.by for each in analysis.slices):
        if by not in ("organism", "type_and_mixing"):
            _show_slices(out, str(by), [each for each in analysis.slices if each.by == by])
    _show_conduct(out, analysis)
    for line in analysis.errors:
        out.print(visible(f"error: {line}", one_line=True), soft_wrap=True)


def _show_comparisons(out: Console, analysis: Analysis) -> None:
    table = _table("difference of mean scores", "second − first", "p, corrected")
    for each in analysis.comparisons:
        if each.measure == "score" and each.difference is not None:
            table.add_row(f"{each.second} − {each.first}", _span(each.difference), _p(each.test))
    if table.row_count:
        out.print()
        out.print(table)


def _p(test: PairedTest) -> str:
    return f"{test.p_value if test.adjusted is None else test.adjusted:.3f}"


def _show_slices(out: Console, by: str, slices: Sequence[Slice]) -> None:
    table = _table(f"by {by}", "arm", "organisms", *_HEADS.values())
    for each in slices:
        table.add_row(each.value, each.arm, str(each.counts.organisms), *_cells(each.figures))
    out.print()
    out.print(table)


def _show_conduct(out: Console, analysis: Analysis) -> None:
    table = _table("instrument", "arm", "runs that used it", "readings a run")
    for arm in analysis.conduct:
        for tool in arm.tools:
            table.add_row(tool.instrument, arm.arm, _share(tool.runs), f"{tool.readings:.1f}")
    out.print()
    out.print(table)
    clues = _table("clues that bear on the objective", "shown", "of them unclaimed", "shown and not detected")
    for arm in analysis.conduct:
        clues.add_row(arm.arm, _share(arm.shown), _share(arm.unclaimed), _share(arm.shown_undetected))
    out.print()
    out.print(clues)


def _show_published(out: Console, settings: BenchSettings, numbers: Sequence[PublishedNumber]) -> None:
    """The papers' numbers, never mixed with ours."""
    if not numbers:
        return
    table = _table("published, not ours", "arm", "measure", "regime", "value")
    for each in numbers:
        top = "" if each.high is None else f" to {each.high:g}"
        table.add_row(each.source, each.arm, each.measure, each.regime, f"{each.value:g}{top}")
    out.print()
    out.print(table)
    for line in _differs(settings):
        out.print(f"not as published: {line}", soft_wrap=True)


def _cells(figures: dict[Measure, Interval | None]) -> list[str]:
    by_name = {measure.value: interval for measure, interval in figures.items()}
    return [_span(by_name.get(name)) if name == "score" else _share(by_name.get(name)) for name in _HEADS]


def _span(interval: Interval | None) -> str:
    """``2.41 [1.90,2.90]``; in a narrow column it breaks at its one space."""
    if interval is None:
        return "–"
    ends = "" if interval.low is None or interval.high is None else f" [{interval.low:.2f},{interval.high:.2f}]"
    return f"{interval.value:.2f}{ends}"


def _share(interval: Interval | None) -> str:
    """``67 [41,87]``, in percent."""
    if interval is None:
        return "–"
    low, high = interval.low, interval.high
    ends = "" if low is None or high is None else f" [{100 * low:.0f},{100 * high:.0f}]"
    return f"{100 * interval.value:.0f}{ends}"
