"""Drawing in SVG: elements whose text is escaped, scales, and the marks that tell series apart without colour."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from markupsafe import Markup, escape

from finetrace.escaping import visible

SERIES = 8
"""Colours there are; further series begin again, with other shapes."""
_TIMES = (10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0)
"""Seconds between two ticks of a time axis."""
_SHAPES = ("circle", "square", "triangle", "diamond", "cross")


def element(tag: str, *children: Markup | str, **attributes: object) -> Markup:
    """One element; ``class_`` is written ``class``, an underscore within a name as a hyphen, ``None`` not at all."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_written(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    inner = "".join(child if isinstance(child, Markup) else escape(visible(child)) for child in children)
    return Markup(f"<{tag}{written}>{inner}</{tag}>")


def drawing(width: float, height: float, title: str, *children: Markup) -> Markup:
    """A whole picture; its title is what a screen reader says."""
    return element(
        "svg",
        element("title", title),
        *children,
        viewBox=f"0 0 {_written(width)} {_written(height)}",
        width=width,
        height=height,
        role="group",
        aria_label=title,
        class_="plot",
    )


def text(x: float, y: float, said: str, anchor: str = "start", class_: str | None = None) -> Markup:
    """A line of text."""
    return element("text", said, x=x, y=y, text_anchor=None if anchor == "start" else anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str = "axis") -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def link(target: str, *children: Markup) -> Markup:
    """What leads to an anchor of the page."""
    return element("a", *children, href=f"#{target}")


def point(x: float, y: float, series: int, said: str, *, hollow: bool = False, size: float = 5) -> Markup:
    """A mark in the shape and colour of its series, with what it stands for."""
    shape = _SHAPES[(series + series // SERIES) % len(_SHAPES)]
    class_ = f"mark s{series % SERIES}{' hollow' if hollow else ''}"
    title = element("title", said)
    if shape == "circle":
        return element("circle", title, cx=x, cy=y, r=size, class_=class_)
    return element("path", title, d=_path(shape, x, y, size), class_=class_)


def legend(series: Mapping[str, int]) -> Markup:
    """Names with their marks, for the space above a plot."""
    entries = [
        element(
            "span",
            element("svg", point(7, 7, number, name), width=14, height=14, class_="key"),
            " " + name,
            class_="entry",
        )
        for name, number in series.items()
    ]
    return element("p", *entries, class_="legend")


class Scale(NamedTuple):
    """From values to places."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value lies, held within the picture."""
        span = self.high - self.low or 1.0
        share = min(1.0, max(0.0, (value - self.low) / span))
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between two values, about so many."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((power * factor for factor in (1, 2, 2.5, 5) if power * factor >= raw), power * 10)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def time_ticks(seconds: float, about: int = 6) -> list[float]:
    """Round times from 0, about so many: whole minutes or hours where it took that long."""
    fitting = (step for step in _TIMES if seconds / step <= about)
    step = next(fitting, None)
    return ticks(0.0, seconds, about) if step is None or seconds < _TIMES[0] else ticks_by(step, seconds)


def ticks_by(step: float, high: float) -> list[float]:
    """Multiples of a step from 0."""
    return [n * step for n in range(math.floor(high / step + 1e-9) + 1)]


def _path(shape: str, x: float, y: float, r: float) -> str:
    s = r * 0.9
    points = {
        "square": ((-s, -s), (s, -s), (s, s), (-s, s)),
        "triangle": ((0, -r * 1.2), (r * 1.1, r * 0.8), (-r * 1.1, r * 0.8)),
        "diamond": ((0, -r * 1.3), (r * 1.3, 0), (0, r * 1.3), (-r * 1.3, 0)),
        "cross": (
            *((-r, -r / 3), (-r / 3, -r / 3), (-r / 3, -r), (r / 3, -r), (r / 3, -r / 3), (r, -r / 3)),
            *((r, r / 3), (r / 3, r / 3), (r / 3, r), (-r / 3, r), (-r / 3, r / 3), (-r, r / 3)),
        ),
    }[shape]
    return "M" + "L".join(f"{_written(x + dx)},{_written(y + dy)}" for dx, dy in points) + "Z"


def _written(value: object) -> str:
    """A number without needless digits, a text without what acts unseen."""
    if isinstance(value, float):
        return f"{value:.1f}".rstrip("0").rstrip(".")
    return visible(str(value), one_line=True)
