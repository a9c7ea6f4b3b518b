"""Rereading: the texts of an earlier reading in full, page by page, or where a word stands in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from finetrace.agent.evidence import reading_of
from finetrace.agent.inert import LINE_BREAK, comparable, inert
from finetrace.errors import ToolError
from finetrace.schema import Step

PAGE = 4000
"""Characters of text in one answer."""
_AROUND = 160
"""Characters shown before and after an occurrence."""
_LONGEST_FIND = 200
_BLANKS = re.compile(r" {2,}")


class _Text(NamedTuple):
    """One text of a reading."""

    number: int
    """From 1, in the reading's order."""
    start: int
    """Where it begins when all are counted through."""
    shown: str
    """Inert and on one line."""

    @property
    def end(self) -> int:
        return self.start + len(self.shown)


def reread(steps: Sequence[Step], step: int, start: int = 0, find: str | None = None) -> str:
    """What one may quote of a reading, from a character on.

    Args:
        steps: All steps so far.
        step: Number of the step that took the reading.
        start: First character to show; characters are counted through all texts.
        find: Show only the places where this occurs, upper and lower case alike; white space may differ.

    Raises:
        ToolError: The step holds no texts, or ends before ``start``.
    """
    texts = _texts(steps, step)
    total = texts[-1].end
    if not 0 <= start < total:
        raise ToolError(f"no character {start} in step {step}", f"its texts take characters 0 to {total - 1}")
    wanted = comparable((find or "")[:_LONGEST_FIND]).split()
    return _found(texts, step, start, wanted) if wanted else _page(texts, step, start)


def _texts(steps: Sequence[Step], number: int) -> list[_Text]:
    """All texts of a reading, each once."""
    held = next((step for step in steps if step.number == number), None)
    reading = reading_of(held) if held is not None else None
    if reading is None:
        wrong = f"there is no step {number}" if held is None else f"step {number} took no reading"
        known = ", ".join(str(step.number) for step in steps if reading_of(step) is not None)
        raise ToolError(wrong, f"steps with readings: {known}" if known else "no reading was taken yet")
    shown = [_line(text) for text in dict.fromkeys(reading.quotable()) if text.strip()]
    if not shown:
        raise ToolError(f"the reading of step {number} holds no text that one may quote")
    starts = accumulate((len(line) for line in shown), initial=0)
    return [_Text(i, place, line) for i, (place, line) in enumerate(zip(starts, shown, strict=False), 1)]


def _line(text: str) -> str:
    return _BLANKS.sub(" ", inert(text)).replace("\n", LINE_BREAK)


def _page(texts: Sequence[_Text], step: int, start: int) -> str:
    stop = min(start + PAGE, texts[-1].end)
    lines = []
    for text in texts:
        part = text.shown[max(0, start - text.start) : max(0, stop - text.start)]
        if part:
            goes_on = ", continued" if text.start < start else ""
            lines.append(f"text {text.number}{goes_on}: {part}")
    more = f"; the next page is start={stop}" if stop < texts[-1].end else ", the end"
    texts_held = "1 text" if len(texts) == 1 else f"{len(texts)} texts"
    head = f"{texts_held} of step {step}: characters {start} to {stop - 1} of {texts[-1].end}{more}"
    return "\n".join([head, *lines])


def _found(texts: Sequence[_Text], step: int, start: int, wanted: Sequence[str]) -> str:
    """Occurrences from a character on, as many as fit on a page."""
    pattern = re.compile(" +".join(map(re.escape, wanted)), re.IGNORECASE)
    shown = inert(" ".join(wanted))
    lines: list[str] = []
    used = total = 0
    following: int | None = None
    for text in texts:
        for found in pattern.finditer(comparable(text.shown)):
            place = text.start + found.start()
            total += 1
            if place < start or following is not None:
                continue
            line = f"text {text.number}, start={place}: {_around(text.shown, found.start(), found.end())}"
            if used + len(line) > PAGE:
                following = place
                continue
            used += len(line)
            lines.append(line)
    if not total:
        return f"«{shown}» stands nowhere in step {step}"
    times = "once" if total == 1 else f"{total} times"
    head = f"«{shown}» stands {times} in step {step}; {len(lines)} shown, from character {start} on"
    more = [f"more with the same search and start={following}"] if following is not None else []
    return "\n".join([head, *lines, *more])


def _around(line: str, start: int, end: int) -> str:
    before = "…" if start > _AROUND else ""
    after = "…" if end + _AROUND < len(line) else ""
    return f"{before}{line[max(0, start - _AROUND) : end + _AROUND]}{after}"
