"""What a user types into a search, and how each database is asked for it."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from finetrace.errors import FinetraceError

_PARTS = re.compile(r'"([^"]*)"|(\S+)')
_WORD = re.compile(r"[^\W_]+")


class Part(NamedTuple):
    """Words that stand next to each other."""

    words: tuple[str, ...]
    """In lower case, Latin letters without accents."""
    prefix: bool = False
    """Whether the last may go on."""


class Query(NamedTuple):
    """Parts that one step must hold, all of them."""

    parts: tuple[Part, ...]

    def for_sqlite(self) -> str:
        """As FTS5 takes it."""
        return " AND ".join(f'"{" ".join(part.words)}"{" *" if part.prefix else ""}' for part in self.parts)

    def for_postgresql(self) -> str:
        """As ``to_tsquery`` takes it; words hold letters and digits only, so nothing is to be quoted."""
        return " & ".join(f"({' <-> '.join(part.words)}{':*' if part.prefix else ''})" for part in self.parts)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the parts occur in a text, as begin and end, in order and apart."""
        folded = fold(text)
        found = sorted(match.span() for part in self.parts for match in _pattern(part).finditer(folded))
        apart: list[tuple[int, int]] = []
        for begin, end in found:
            if apart and begin <= apart[-1][1]:
                apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
            else:
                apart.append((begin, end))
        return apart


def parse_query(text: str) -> Query:
    """Words that must all occur; ``"in quotes"`` next to each other, ``bell*`` for any ending.

    Case, accents on Latin letters, and punctuation do not count.

    Raises:
        FinetraceError: There is no word in it.
    """
    parts = []
    for phrase, single in _PARTS.findall(text):
        words = tuple(_WORD.findall(fold(phrase or single)))
        if words:
            parts.append(Part(words, prefix=single.endswith("*")))
    if not parts:
        raise FinetraceError(f"nothing to search for in '{text}'", "type a word or a phrase")
    return Query(tuple(parts))


def fold(text: str) -> str:
    """The text in lower case, its Latin letters without accents, character for character."""
    return text.lower() if text.isascii() else "".join(_plain(character) for character in text)


def _plain(character: str) -> str:
    """One character without case, and without accents where it is Latin: SQLite's index takes them from no other.

    What would be more than one character stays itself.
    """
    base = unicodedata.normalize("NFD", character)[0]
    small = (base if base.isascii() else character).lower()
    return small if len(small) == 1 else character


def _pattern(part: Part) -> re.Pattern[str]:
    inside = r"[\W_]+".join(re.escape(word) for word in part.words)
    return re.compile(rf"(?<![^\W_]){inside}" + (r"[^\W_]*" if part.prefix else r"(?![^\W_])"))
