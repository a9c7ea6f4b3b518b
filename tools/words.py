"""Text into words and sentences, the same way everywhere."""

from __future__ import annotations

import re
from typing import NamedTuple

WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’\-][^\W\d_]+)*|[^\W_]+", re.UNICODE)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？…])[\"'”’)\]]*\s+(?=[^\s\-–—])|\s*\n\s*")
_SPACE = re.compile(r"\s+")
# Titles and initials do not end a sentence.
_ABBREVIATION = re.compile(r"(?:\b(?:Dr|Mr|Mrs|Ms|Prof|St|vs|etc|Inc|Ltd|Jr|Sr|No|Fig|Eq|approx|e\.g|i\.e)|\b[A-Z])\.$")


class Span(NamedTuple):
    """A word and where it stands."""

    word: str
    """The word as written."""
    start: int
    """First character."""
    end: int
    """One past the last character."""


def words(text: str) -> list[str]:
    """The words of a text in lower case; numbers keep their decimals, apostrophes become straight."""
    return WORD.findall(text.replace("’", "'").lower())


def padded(text: str) -> str:
    """The words of a text with a blank before, between and after them: `f" {phrase} "` in it finds whole words only."""
    return f" {' '.join(words(text))} "


def spans(text: str) -> list[Span]:
    """The words of a text as written, with their places."""
    return [Span(match.group(), match.start(), match.end()) for match in WORD.finditer(text)]


def fold_space(text: str) -> str:
    """The text with every run of white space written as one blank, none at the ends."""
    return _SPACE.sub(" ", text).strip()


def sentences(text: str, longest: int = 2000) -> list[str]:
    """Cut a text into sentences and list items, white space folded.

    Args:
        text: Any text.
        longest: Characters after which a sentence is cut off; degenerate lines can be megabytes long.
    """
    pieces: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        piece = text[start : match.start()]
        if "\n" not in match.group() and _ABBREVIATION.search(piece[-12:]):
            continue
        pieces.append(text[start : match.end()])
        start = match.end()
    pieces.append(text[start:])
    folded = (fold_space(piece[:longest]) for piece in pieces)
    return [piece for piece in folded if piece]
