"""What an arm costs against what it scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from finetrace.evals.statistics.analysis import Analysis
from finetrace.evals.statistics.outcome import Measure, Outcome
from finetrace.evals.statistics.results import ArmName, by_arm, of_runs
from finetrace.report.page import dollars, duration
from finetrace.report.svg import Scale, drawing, line, point, text, ticks, time_ticks
from finetrace.schema import Usage

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 620.0, 250.0, 46.0, 12.0, 40.0


class Priced(NamedTuple):
    """One arm: means over its runs on organisms with an objective."""

    name: ArmName
    runs: int
    interactions: float
    tokens: float
    cost_usd: float | None
    seconds: float


class CostPlot(NamedTuple):
    """The plot and what it counts."""

    unit: str
    plot: Markup


def prices(outcomes: Sequence[Outcome]) -> tuple[Priced, ...]:
    """What a run of each arm used on average, over the runs that its score is of: without nulls and failures."""
    found = []
    for name, rows in by_arm(outcomes).items():
        runs = [run for run in of_runs(rows) if run.error is None and not run.null]
        if not runs:
            continue
        total = sum((run.usage for run in runs), start=Usage())
        n = len(runs)
        cost = None if total.cost_usd is None else total.cost_usd / n
        found.append(Priced(name, n, total.interactions / n, total.tokens / n, cost, total.seconds / n))
    return tuple(found)


def cost_plots(analysis: Analysis, priced: Sequence[Priced], series: Mapping[ArmName, int]) -> list[CostPlot]:
    """Score against dollars where any were spent, against time, and against organism interactions."""
    dollars_known = any(each.cost_usd for each in priced)
    units: list[tuple[str, Mapping[ArmName, float | None], Callable[[float], str]]] = [
        *([("dollars a run", {each.name: each.cost_usd for each in priced}, dollars)] if dollars_known else []),
        ("time a run", {each.name: each.seconds for each in priced}, duration),
        ("organism interactions a run", {each.name: each.interactions for each in priced}, "{:g}".format),
    ]
    return [CostPlot(unit, _scatter(unit, analysis, spent, series, write)) for unit, spent, write in units]


def _scatter(
    unit: str,
    analysis: Analysis,
    spent: Mapping[ArmName, float | None],
    series: Mapping[ArmName, int],
    write: Callable[[float], str],
) -> Markup:
    top = max((value for value in spent.values() if value), default=0.0) * 1.1 or 1.0
    across = Scale(0.0, top, _LEFT, _WIDTH - 20)
    up = Scale(1.0, 5.0, _HEIGHT, _TOP)
    parts: list[Markup] = []
    for tick in ticks(1.0, 5.0, 4):
        parts.append(line(_LEFT, up(tick), _WIDTH - 20, up(tick), "grid"))
        parts.append(text(_LEFT - 8, up(tick) + 4, f"{tick:g}", "end", "small"))
    for tick in time_ticks(top) if write is duration else ticks(0.0, top, 5):
        parts.append(line(across(tick), _TOP, across(tick), _HEIGHT, "grid"))
        parts.append(text(across(tick), _HEIGHT + 16, write(tick), "middle", "small"))
    for arm in analysis.arms:
        name = ArmName(arm.investigator, arm.arm)
        score, used = arm.figures.get(Measure.SCORE), spent.get(name)
        if score is None or used is None:
            continue
        x, place = across(used), series[name]
        if score.low is not None and score.high is not None:
            parts.append(line(x, up(score.low), x, up(score.high), f"whisker s{place % 8}"))
        parts.append(point(x, up(score.value), place, f"{arm.arm}: score {score.value:.2f} at {write(used)} a run"))
    parts.append(text((_LEFT + _WIDTH) / 2, _HEIGHT + 34, unit, "middle", "small"))
    return drawing(_WIDTH, _HEIGHT + _BOTTOM, f"score against {unit}", *parts)
