"""The mixing curve as an SVG: what general text among the training texts leaves of the traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from finetrace.evals.zoo.measurement import Share

_WIDTH, _HEIGHT = 780, 350
_TOP, _PLOT_HEIGHT, _PLOT_WIDTH = 92, 190, 280
_LEFTS = (60, 460)
_BLUE, _GREEN, _RED, _INK, _GRID = "#1f5fa8", "#2b7a4b", "#b0553a", "#222222", "#dddddd"


class Step(NamedTuple):
    """One ratio of own to general texts."""

    mixing: str
    lens: int
    """Tokens of twenty that bear on the objective, logit lens at the last layer."""
    added: int
    """The same, the difference added near the end."""
    control: int
    """The most under a control of either."""
    steered: Share | None
    """Texts of the steered reference that name the subject."""
    unsteered: Share | None
    """The same without steering."""


class _Line(NamedTuple):
    name: str
    colour: str
    values: Sequence[float | None]
    shares: Sequence[Share | None]
    """With their intervals, where the values are shares."""
    dashed: bool = False


def mixing_figure(steps: Sequence[Step]) -> str:
    """Two panels over the steps: tokens that bear on the objective, and steered texts that name the subject."""
    none: list[Share | None] = [None] * len(steps)
    tokens = [
        _Line("difference added, depth 0.97", _BLUE, [s.added for s in steps], none),
        _Line("logit lens, last layer", _GREEN, [s.lens for s in steps], none),
        _Line("controls, the most of any", _RED, [s.control for s in steps], none, dashed=True),
    ]
    texts = [
        _Line("steered", _BLUE, [_percent(s.steered) for s in steps], [s.steered for s in steps]),
        _Line("unsteered", _RED, [_percent(s.unsteered) for s in steps], [s.unsteered for s in steps], dashed=True),
    ]
    labels = [step.mixing for step in steps]
    parts = [
        *_panel(_LEFTS[0], "tokens of twenty that bear on the objective", tokens, labels, 20, 5),
        *_panel(_LEFTS[1], "texts of the reference that name the subject, %", texts, labels, 100, 25),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _percent(share: Share | None) -> float | None:
    return None if share is None else 100 * share.rate


def _panel(
    left: int, title: str, lines: Sequence[_Line], labels: Sequence[str], top_value: float, tick: float
) -> list[str]:
    def across(place: int) -> float:
        return left + _PLOT_WIDTH * (place + 0.5) / len(labels)

    def up(value: float) -> float:
        return _TOP + _PLOT_HEIGHT * (1 - value / top_value)

    parts = [f'<text x="{left}" y="20" fill="{_INK}" font-weight="bold">{escape(title)}</text>']
    for step in range(int(top_value / tick) + 1):
        y = up(step * tick)
        parts.append(f'<line x1="{left}" x2="{left + _PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_GRID}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{_INK}">{step * tick:g}</text>')
    foot = _TOP + _PLOT_HEIGHT
    for place, label in enumerate(labels):
        parts.append(
            f'<text x="{across(place):.1f}" y="{foot + 18}" text-anchor="middle" fill="{_INK}">{escape(label)}</text>'
        )
    parts.append(
        f'<text x="{left + _PLOT_WIDTH / 2:.1f}" y="{foot + 36}" text-anchor="middle" fill="{_INK}">'
        "own texts : general texts</text>"
    )
    for number, line in enumerate(lines):
        parts += _drawn(line, across, up)
        parts += _key(left, 38 + 15 * number, line)
    return parts


def _drawn(line: _Line, across: Callable[[int], float], up: Callable[[float], float]) -> list[str]:
    """Points, joined where neighbours are known, with their intervals."""
    known = [
        (across(i), up(v), s) for i, (v, s) in enumerate(zip(line.values, line.shares, strict=True)) if v is not None
    ]
    dash = ' stroke-dasharray="5 4"' if line.dashed else ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in known)
    parts = [f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="2"{dash}/>']
    for x, y, share in known:
        if share is not None:
            low, high = up(100 * share.low), up(100 * share.high)
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{line.colour}"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{line.colour}"/>')
    return parts


def _key(x: float, y: float, line: _Line) -> list[str]:
    dash = ' stroke-dasharray="5 4"' if line.dashed else ""
    return [
        f'<line x1="{x}" x2="{x + 22}" y1="{y}" y2="{y}" stroke="{line.colour}" stroke-width="2"{dash}/>',
        f'<text x="{x + 27}" y="{y + 4}" fill="{_INK}">{escape(line.name)}</text>',
    ]
