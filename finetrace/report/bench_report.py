"""The report of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from finetrace import __version__
from finetrace.evals.bench.plan import BenchSettings
from finetrace.evals.bench.protocols import find_protocol
from finetrace.evals.statistics.analysis import Analysis
from finetrace.evals.statistics.beside import Beside, beside
from finetrace.evals.statistics.outcome import Measure, Outcome
from finetrace.evals.statistics.published import Published, load_published
from finetrace.evals.statistics.results import of_runs
from finetrace.report import bench_plots
from finetrace.report.cost_plot import cost_plots, prices
from finetrace.report.depth import DIGEST
from finetrace.report.heat_map import heat_map, mean_score
from finetrace.report.page import render
from finetrace.report.run_view import RunView, view_run
from finetrace.report.stored_run import StoredRun
from finetrace.report.svg import legend
from finetrace.report.token_shades import scale
from finetrace.schema import BenchRecord


@dataclass(frozen=True)
class RunLine:
    """One run of the list at the end of the page."""

    outcome: Outcome
    anchor: str
    view: RunView
    score: float | None
    """Mean over its grades."""


@dataclass(frozen=True)
class BenchShown:
    """All that the report of a benchmark is made of."""

    record: BenchRecord
    settings: BenchSettings
    outcomes: Sequence[Outcome]
    """As the statistics take them."""
    analysis: Analysis
    runs: Mapping[str, StoredRun] = field(default_factory=dict)
    """By id; those that are missing have a cell without a link."""


def bench_report(bench: BenchShown) -> str:
    """One HTML page with the figures of a benchmark, and a digest of every run behind them."""
    lines = _lines(bench)
    anchors = {line.outcome.run_id: line.anchor for line in lines}
    series = bench_plots.series_of(bench.analysis)
    priced = prices(bench.outcomes)
    several = len(bench.settings.investigators) > 1
    names = {bench_plots.arm_name(*name, several=several): number for name, number in series.items()}
    published = load_published()
    numbers = _numbers(bench, published)
    return render(
        "bench_report.html",
        bench=bench,
        several=several,
        measures=tuple(Measure),
        heat=heat_map(bench.outcomes, anchors),
        arms_legend=legend(names),
        forest=bench_plots.forest(bench.analysis),
        ordinal=bench_plots.ordinal(bench.analysis),
        mixing=bench_plots.mixing(bench.analysis, series),
        false_positives=bench_plots.false_positives(bench.analysis, series),
        wrong=[line for line in lines if line.outcome.false_positive],
        costs=cost_plots(bench.analysis, priced, series),
        priced=priced,
        beside=bench_plots.beside_published(numbers, series),
        numbers=numbers or [Beside(published=each, ours=()) for each in published.numbers],
        share=bench_plots.share,
        compared=bool(numbers),
        sources=published.sources,
        differs=() if bench.settings.protocol is None else find_protocol(bench.settings.protocol).differs,
        runs=of_runs(bench.outcomes),
        lines=lines,
        shades=scale(),
        made_by=__version__,
    )


def _lines(bench: BenchShown) -> list[RunLine]:
    """The runs that are in the store, in the order of the plan."""
    found: list[RunLine] = []
    by_run: dict[tuple[str, str, str, int], list[Outcome]] = {}
    for each in bench.outcomes:
        by_run.setdefault(each.key, []).append(each)
    for outcome in of_runs(bench.outcomes):
        stored = bench.runs.get(outcome.run_id)
        if stored is not None:
            anchor = f"r{len(found) + 1}"
            view = view_run(stored.run, stored.steps, stored.grades, DIGEST, f"{anchor}-")
            found.append(RunLine(outcome, anchor, view, mean_score(by_run[outcome.key])))
    return found


def _numbers(bench: BenchShown, published: Published) -> tuple[Beside, ...]:
    """The papers' numbers for the set-up that was followed, with ours; none where none was."""
    if bench.settings.protocol is None:
        return ()
    protocol = find_protocol(bench.settings.protocol)
    return beside(published.of(protocol.source), protocol, bench.analysis)
