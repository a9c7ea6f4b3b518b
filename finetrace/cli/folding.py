"""Long texts in the terminal: their first lines, and every line that holds a quote, which is highlighted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.text import Text

from finetrace.cli.escaping import visible

FOLDED_LINES = 8
"""Lines of a reading that are shown unless all are asked for."""
EVIDENCE = "bold black on yellow"
"""How a quote looks where it occurs."""

_FOLDED_WIDTH = 300
_AROUND = 120
"""Characters on both sides of a quote in a line that is longer than the others may be."""
_SPACE = r"(?:\s|[\u2400-\u241f]|⟨U\+[0-9A-F]+⟩)+"
"""White space, as it is or as it is shown."""


class Span(NamedTuple):
    """A stretch of a text."""

    begin: int
    end: int


def spans_of(shown: str, quotes: Iterable[str]) -> list[Span]:
    """Where quotes occur in a text that was made visible, white space aside; in order."""
    found = []
    for quote in quotes:
        words = [re.escape(visible(word, one_line=True)) for word in quote.split()]
        if words:
            found += [Span(*match.span()) for match in re.finditer(_SPACE.join(words), shown)]
    return sorted(found)


def folded(text: str, full: bool, style: str = "", *, one_line: bool = False, quotes: Sequence[str] = ()) -> Text:
    """A text whole, or its first lines and those that hold a quote, with a note of what is left out.

    Args:
        text: Anything.
        full: Show all of it.
        style: Of everything but the quotes.
        one_line: Show newlines as ``⏎``.
        quotes: What is to be highlighted.
    """
    shown = visible(text, one_line=one_line).removesuffix("\n")
    spans = spans_of(shown, quotes)
    if full:
        return _marked(shown, spans, style)
    return _folded(shown.split("\n"), spans, style)


def _folded(lines: Sequence[str], spans: Sequence[Span], style: str) -> Text:
    pieces: list[Text] = []
    begin, last, cut = 0, -1, False
    for number, line in enumerate(lines):
        inside = [
            Span(max(span.begin - begin, 0), min(span.end - begin, len(line)))
            for span in spans
            if span.begin < begin + len(line) and span.end > begin
        ]
        if number < FOLDED_LINES or inside:
            if number > last + 1:
                pieces.append(Text("⋮", "dim"))
            piece = _shortened(line, inside, style)
            cut, last = cut or len(piece) != len(line), number
            pieces.append(piece)
        begin += len(line) + 1
    shown = sum(piece.plain != "⋮" for piece in pieces)
    result = Text("\n", style).join(pieces)
    if shown < len(lines) or cut:
        more = len(lines) - shown
        note = f"… {more} more line{'s' if more > 1 else ''}" if more else "… long lines cut"
        result.append(f"\n{note} (--full shows all)", "dim not italic")
    return result


def _shortened(line: str, inside: Sequence[Span], style: str) -> Text:
    """A line with its quotes marked, cut where it is long, around the first quote if there is one."""
    marked = _marked(line, inside, style)
    if len(line) <= _FOLDED_WIDTH:
        return marked
    if not inside or inside[0].end <= _FOLDED_WIDTH - 1:
        return marked[: _FOLDED_WIDTH - 1].append("…")
    begin, end = max(0, inside[0].begin - _AROUND), inside[0].end + _AROUND
    piece = Text("…" if begin else "", style).append_text(marked[begin:end])
    return piece.append("…") if end < len(line) else piece


def _marked(text: str, spans: Sequence[Span], style: str) -> Text:
    result = Text(text, style)
    for span in spans:
        result.stylize(EVIDENCE, span.begin, span.end)
    return result
