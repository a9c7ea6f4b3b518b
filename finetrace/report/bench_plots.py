"""The plots of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import NamedTuple

from markupsafe import Markup

from finetrace.evals.statistics.analysis import Analysis
from finetrace.evals.statistics.beside import Beside
from finetrace.evals.statistics.breakdown import Slice, SliceBy
from finetrace.evals.statistics.intervals import Interval
from finetrace.evals.statistics.outcome import Measure
from finetrace.evals.statistics.results import ArmName
from finetrace.report.interval_plot import Axis, Estimate, Group, interval_groups, interval_rows
from finetrace.report.page import percent, signed
from finetrace.report.svg import SERIES
from finetrace.schema import OrganismType

_SCORES = Axis("mean score, 1 to 5", 1.0, 5.0)
_THEIRS = 5
"""Series of published numbers, which is nobody else's."""


def arm_name(investigator: str, arm: str, *, several: bool) -> str:
    """The arm, with its investigator where there are several."""
    return f"{investigator} · {arm}" if several else arm


def series_of(analysis: Analysis) -> dict[ArmName, int]:
    """Each arm's colour and shape, the same in every plot; none has that of published numbers."""
    free = (number for number in count() if number % SERIES != _THEIRS)
    return {ArmName(arm.investigator, arm.arm): number for arm, number in zip(analysis.arms, free, strict=False)}


def forest(analysis: Analysis) -> Markup:
    """What one arm brings over another, in mean score; empty where no two arms share an organism."""
    several = len({each.investigator for each in analysis.comparisons}) > 1
    rows = []
    for each in analysis.comparisons:
        if each.measure is not Measure.SCORE or each.difference is None:
            continue
        p = each.test.p_value if each.test.adjusted is None else each.test.adjusted
        label = f"{arm_name(each.investigator, each.second, several=several)} − {each.first}"
        rows.append(_estimate(label, each.difference, 0, f"{_span(each.difference)}  p {p:.2g}"))
    if not rows:
        return Markup("")
    reach = max(1.0, *(abs(end) for row in rows for end in (row.value, row.low or 0.0, row.high or 0.0)))
    axis = Axis(
        "difference of mean scores, second arm − first; 95 % intervals over organisms", -reach, reach, zero=True
    )
    return interval_rows("effects of arms on the score", axis, rows)


def ordinal(analysis: Analysis) -> Markup:
    """Effects of arms in the ordinal model; empty where nothing could be fitted."""
    several = len(analysis.ordinal) > 1
    rows = [
        Estimate(
            f"{arm_name(each.investigator, effect.arm, several=several)} against {each.fit.baseline}",
            effect.log_odds,
            effect.low,
            effect.high,
            0,
            f"{signed(effect.log_odds)} [{signed(effect.low)}, {signed(effect.high)}]"
            + (" only the sign counts" if effect.extreme else ""),
        )
        for each in analysis.ordinal
        if each.fit is not None and each.fit.converged
        for effect in each.fit.effects
    ]
    if not rows:
        return Markup("")
    reach = min(10.0, max(1.0, *(abs(end) for row in rows for end in (row.value, row.low or 0.0, row.high or 0.0))))
    axis = Axis("log odds of a higher score, organisms as random effects; 95 % intervals", -reach, reach, zero=True)
    return interval_rows("effects of arms in the ordinal model", axis, rows)


def false_positives(analysis: Analysis, series: Mapping[ArmName, int]) -> Markup:
    """Share of runs on nulls that call them finetuned."""
    rows = []
    several = len({arm.investigator for arm in analysis.arms}) > 1
    for arm in analysis.arms:
        share = None if arm.nulls is None else arm.nulls.false_positives
        if share is not None:
            label = arm_name(arm.investigator, arm.arm, several=several)
            said = f"{percent(share.value)} of {share.n} runs [{percent(share.low)}, {percent(share.high)}]"
            rows.append(_estimate(label, share, series[ArmName(arm.investigator, arm.arm)], said))
    if not rows:
        return Markup("")
    axis = Axis("runs on nulls that call them finetuned; exact 95 % intervals", 0.0, 1.0, percent=True)
    return interval_rows("false positives", axis, rows)


class MixingPlot(NamedTuple):
    """Scores by mixing ratio of one kind of objective, drawn and in words."""

    title: str
    plot: Markup
    rows: tuple[tuple[str, str, str], ...]
    """Ratio, arm, and the mean score with its interval."""


def mixing(analysis: Analysis, series: Mapping[ArmName, int]) -> list[MixingPlot]:
    """Score by mixing ratio: all kinds together, then each kind that comes in several ratios."""
    plots = [("all kinds of objective", [each for each in analysis.slices if each.by is SliceBy.MIXING])]
    for kind in OrganismType:
        own = [
            each
            for each in analysis.slices
            if each.by is SliceBy.TYPE_AND_MIXING and each.value.startswith(f"{kind.value} ")
        ]
        if len({each.value for each in own}) > 1:
            plots.append((kind.value.replace("_", " "), own))
    several = len({arm.investigator for arm in analysis.arms}) > 1
    return [
        MixingPlot(title, plot, tuple(_told(each, several=several) for each in cut if Measure.SCORE in each.figures))
        for title, cut in plots
        if (plot := _by_ratio(title, cut, series))
    ]


def _told(cut: Slice, *, several: bool) -> tuple[str, str, str]:
    score = cut.figures[Measure.SCORE]
    said = "–" if score is None else f"{_span(score)}, {cut.counts.organisms} organisms"
    return cut.value.split(" ")[-1], arm_name(cut.investigator, cut.arm, several=several), said


def _by_ratio(title: str, cut: Sequence[Slice], series: Mapping[ArmName, int]) -> Markup:
    groups = []
    for value in dict.fromkeys(each.value for each in cut):
        estimates = []
        for each in cut:
            score = each.figures.get(Measure.SCORE)
            if each.value == value and score is not None:
                place = series[ArmName(each.investigator, each.arm)]
                said = f"{_span(score)}, {each.counts.organisms} organisms"
                estimates.append(_estimate(f"{each.arm}, {value}", score, place, said))
        if estimates:
            groups.append(Group(value.split(" ")[-1], tuple(estimates)))
    return interval_groups(f"score by mixing ratio, {title}", _SCORES, groups) if groups else Markup("")


def beside_published(numbers: Sequence[Beside], series: Mapping[ArmName, int]) -> Markup:
    """Each published share, hollow, and right below it ours for the same measure and part of the organisms."""
    rows: list[Estimate] = []
    several = len({ours.investigator for each in numbers for ours in each.ours}) > 1
    for each in numbers:
        theirs = each.published
        if theirs.unit != "share" or not each.ours:
            continue
        asked = "" if theirs.interactions is None else f" @{theirs.interactions}"
        part = f", {theirs.regime}" if theirs.regime else ""
        middle = theirs.value if theirs.high is None else (theirs.value + theirs.high) / 2
        said = f"{percent(theirs.value)}{'' if theirs.high is None else f' to {percent(theirs.high)}'} · published"
        label = f"published: {theirs.arm}{asked}{part}, {theirs.measure.replace('_', ' ')}"
        rows.append(Estimate(label, middle, None, None, _THEIRS, said, theirs=True))
        for ours in each.ours:
            label = f"ours: {arm_name(ours.investigator, ours.arm, several=several)}{part}"
            rows.append(_estimate(label, ours.figure, series[ArmName(ours.investigator, ours.arm)], share(ours.figure)))
    if not rows:
        return Markup("")
    return interval_rows(
        "ours beside published numbers", Axis("share of organisms or runs", 0.0, 1.0, percent=True), rows
    )


def _estimate(label: str, interval: Interval, series: int, said: str) -> Estimate:
    return Estimate(label, interval.value, interval.low, interval.high, series, said)


def _span(interval: Interval) -> str:
    ends = "" if interval.low is None or interval.high is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"{interval.value:.2f}{ends}".replace("-", "−")


def share(interval: Interval) -> str:
    """``40 % [20 %, 60 %]``."""
    ends = "" if interval.low is None else f" [{percent(interval.low)}, {percent(interval.high)}]"
    return f"{percent(interval.value)}{ends}"
