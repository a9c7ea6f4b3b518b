"""The steps of a run on a time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from finetrace.report.page import duration
from finetrace.report.svg import Scale, drawing, element, line, link, text, time_ticks
from finetrace.schema import Step

_WIDTH, _LEFT, _ROW, _TOP = 920.0, 230.0, 20.0, 8.0
_THINNEST = 2.5
_LABEL = 32


def timeline(steps: Sequence[Step], names: Mapping[int, str], anchors: Mapping[int, str]) -> Markup:
    """A bar for each step from its beginning to its end, with its name and a link to it.

    Args:
        steps: Of one run, in order.
        names: What each step is called, by number.
        anchors: Where each step stands on the page, by number.
    """
    if not steps:
        return Markup("")
    begin = min(step.started_at for step in steps)
    whole = max((step.finished_at - begin).total_seconds() for step in steps)
    scale = Scale(0.0, max(whole, 0.001), _LEFT, _WIDTH - 80)
    bottom = _TOP + _ROW * len(steps)
    parts: list[Markup] = []
    for tick in time_ticks(max(whole, 0.001)):
        parts.append(line(scale(tick), _TOP, scale(tick), bottom, "grid"))
        parts.append(text(scale(tick), bottom + 15, duration(tick) if tick else "0", "middle", "small"))
    for row, step in enumerate(steps):
        y = _TOP + _ROW * row
        start, end = ((at - begin).total_seconds() for at in (step.started_at, step.finished_at))
        width = max(_THINNEST, scale(end) - scale(start))
        name = names[step.number]
        shown = name if len(name) <= _LABEL else name[: _LABEL - 1] + "…"
        took = duration((step.finished_at - step.started_at).total_seconds())
        bar = element(
            "rect",
            element("title", f"step {step.number}, {name}: {took}"),
            x=scale(start),
            y=y + 4,
            width=width,
            height=_ROW - 8,
            class_=f"bar k-{step.kind.value}",
        )
        label = text(_LEFT - 8, y + 14, f"{step.number} {shown}", "end")
        after = text(min(scale(start) + width + 5, _WIDTH - 75), y + 14, took, class_="small")
        parts.append(link(anchors[step.number], label, bar, after))
    return drawing(_WIDTH, bottom + 22, f"timeline of {len(steps)} steps over {duration(whole)}", *parts)
