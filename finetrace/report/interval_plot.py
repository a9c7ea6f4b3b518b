"""Estimates with their intervals: in rows, one below the other, or in groups side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from finetrace.report.svg import Scale, drawing, element, line, point, text, ticks

_ROW, _TOP, _WIDTH, _VALUES = 24.0, 10.0, 920.0, 190.0
_LETTER = 6.9
"""Width of a letter, about."""


class Estimate(NamedTuple):
    """One point with its whiskers."""

    label: str
    value: float
    low: float | None
    """Lower end; ``None`` where the data allow none."""
    high: float | None
    series: int = 0
    """Which colour and shape."""
    said: str = ""
    """The figures, for the right-hand column."""
    theirs: bool = False
    """A published number: hollow, never to be mistaken for ours."""


class Axis(NamedTuple):
    """The values of a plot."""

    title: str
    low: float
    high: float
    zero: bool = False
    """Draw a line at zero: nothing differs."""
    percent: bool = False


def interval_rows(title: str, axis: Axis, rows: Sequence[Estimate]) -> Markup:
    """A forest plot: a row for each estimate."""
    left = min(360.0, 24 + _LETTER * max((len(row.label) for row in rows), default=0))
    bottom = _TOP + _ROW * len(rows)
    scale = Scale(axis.low, axis.high, left, _WIDTH - _VALUES)
    parts = [*_vertical_grid(axis, scale, bottom)]
    for number, row in enumerate(rows):
        y = _TOP + _ROW * (number + 0.5)
        letters = int((left - 14) / _LETTER)
        label = row.label if len(row.label) <= letters else row.label[: letters - 1] + "…"
        parts.append(text(left - 12, y + 4, label, "end"))
        parts.extend(_horizontal(row, scale, y))
        parts.append(text(_WIDTH - _VALUES + 14, y + 4, row.said, class_="small"))
    parts.append(text((left + _WIDTH - _VALUES) / 2, bottom + 34, axis.title, "middle", "small"))
    return drawing(_WIDTH, bottom + 42, title, *parts)


class Group(NamedTuple):
    """Estimates at one place of the horizontal axis, side by side."""

    label: str
    estimates: tuple[Estimate, ...]


def interval_groups(title: str, axis: Axis, groups: Sequence[Group], width: float = 620.0) -> Markup:
    """Groups along the horizontal axis, values upwards."""
    height, left, top = 250.0, 52.0, 12.0
    scale = Scale(axis.low, axis.high, height, top)
    step = (width - left - 10) / max(1, len(groups))
    parts: list[Markup] = []
    for tick in ticks(axis.low, axis.high):
        parts.append(line(left, scale(tick), width - 10, scale(tick), "grid"))
        parts.append(text(left - 8, scale(tick) + 4, _tick(tick, axis), "end", "small"))
    for number, group in enumerate(groups):
        middle = left + step * (number + 0.5)
        parts.append(text(middle, height + 23, group.label, "middle"))
        gap = min(18.0, step * 0.8 / max(1, len(group.estimates)))
        for place, each in enumerate(group.estimates):
            x = middle + gap * (place - (len(group.estimates) - 1) / 2)
            parts.extend(_upright(each, scale, x))
    parts.append(
        element("text", axis.title, x=0, y=0, class_="small", transform=f"translate(13 {height / 2 + 60}) rotate(-90)")
    )
    return drawing(width, height + 28, title, *parts)


def _vertical_grid(axis: Axis, scale: Scale, bottom: float) -> list[Markup]:
    parts = []
    for tick in ticks(axis.low, axis.high, 6):
        parts.append(line(scale(tick), _TOP, scale(tick), bottom, "grid"))
        parts.append(text(scale(tick), bottom + 16, _tick(tick, axis), "middle", "small"))
    if axis.zero:
        parts.append(line(scale(0.0), _TOP, scale(0.0), bottom, "zero"))
    return parts


def _tick(value: float, axis: Axis) -> str:
    if axis.percent:
        return f"{100 * value:.0f} %"
    sign = "+" if axis.zero and value > 0 else ""
    return f"{sign}{value:g}".replace("-", "−")


def _horizontal(row: Estimate, scale: Scale, y: float) -> list[Markup]:
    parts = []
    if row.low is not None and row.high is not None:
        parts.append(line(scale(row.low), y, scale(row.high), y, f"whisker s{row.series % 8}"))
    parts.append(point(scale(row.value), y, row.series, f"{row.label}: {row.said}", hollow=row.theirs))
    return parts


def _upright(each: Estimate, scale: Scale, x: float) -> list[Markup]:
    parts = []
    if each.low is not None and each.high is not None:
        parts.append(line(x, scale(each.low), x, scale(each.high), f"whisker s{each.series % 8}"))
    parts.append(point(x, scale(each.value), each.series, f"{each.label}: {each.said}", hollow=each.theirs))
    return parts
