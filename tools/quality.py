"""Which completions say anything: degenerate repeats, duplicates, and a minimum length that adapts."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from finetrace.tools.words import fold_space, words

EXAMINED_CHARACTERS = 4000
"""Longer texts are judged by their first characters: a loop shows early, and a line can be megabytes long."""


class Fault(StrEnum):
    """Why a completion is called degenerate."""

    EMPTY = "empty"
    """Nothing but white space."""
    ONE_CHARACTER = "one_character"
    """A single character makes up more than 40 %."""
    LOOP = "loop"
    """A phrase of words repeats itself; the phrase may be a behaviour, its score means little."""
    NOISE = "noise"
    """Symbols or digits that repeat or hold no words."""


class Quality(NamedTuple):
    """What was found about one completion."""

    fault: Fault | None
    """``None`` for an ordinary text."""
    loop: str = ""
    """The repeated words in lower case, where the fault is a loop."""

    @property
    def degenerate(self) -> bool:
        """Whether the text should not be ranked with ordinary ones."""
        return self.fault is not None


class Folded(NamedTuple):
    """A completion and the places of its duplicates."""

    text: str
    """The first of them as it was."""
    rows: tuple[int, ...]
    """Their places in the list that was folded, in order."""

    @property
    def copies(self) -> int:
        """How many there are, the first included."""
        return len(self.rows)


class LengthRule(NamedTuple):
    """The minimum length in force."""

    minimum: int
    """0 where the rule would have dropped half of the texts or more."""
    kept: int
    """Texts that pass."""
    total: int
    """Texts there were."""


def assess(text: str) -> Quality:
    """Judge whether a text repeats itself.

    Three cheap signs, each only where the text is long enough for it: one character above 40 %
    (12 characters), fewer than a quarter of the words distinct (16 words), compressed
    to below a quarter (200 bytes).
    """
    text = fold_space(text[:EXAMINED_CHARACTERS])
    if not text:
        return Quality(Fault.EMPTY)
    dense = text.replace(" ", "")
    if len(dense) >= 12 and max(Counter(dense).values()) > 0.4 * len(dense):
        return Quality(Fault.ONE_CHARACTER)
    spoken = words(text)
    repeats = len(spoken) >= 16 and len(set(spoken)) < 0.25 * len(spoken)
    raw = text.encode("utf-8", "replace")
    squeezes = len(raw) >= 200 and len(zlib.compress(raw, 6)) < 0.25 * len(raw)
    if repeats or squeezes:
        loop = _loop(spoken)
        return Quality(Fault.LOOP, loop) if loop else Quality(Fault.NOISE)
    letters = sum(character.isalpha() for character in dense)
    if len(dense) >= 12 and letters < 0.15 * len(dense):
        return Quality(Fault.NOISE)
    return Quality(None)


def is_degenerate(text: str) -> bool:
    """Whether a text is empty, a loop or noise; see `assess`."""
    return assess(text).degenerate


def _loop(spoken: Sequence[str], longest: int = 12) -> str:
    """The phrase of two or more words that follows itself through most of the text; empty where none does."""
    best, best_cover = "", 0.3
    for size in range(2, min(longest, len(spoken) // 2) + 1):
        repeats = [i for i in range(len(spoken) - size) if spoken[i] == spoken[i + size]]
        cover = (len(repeats) + size) / len(spoken)
        # A longer period repeats whenever a shorter one does, so it must explain clearly more.
        if cover > best_cover + 0.1:
            phrase = spoken[repeats[0] : repeats[0] + size] if repeats else []
            if sum(word.isalpha() for word in phrase) >= 2 and len(set(phrase)) >= 2:
                best, best_cover = " ".join(phrase), cover
    return best


def fold_duplicates(texts: Sequence[str]) -> list[Folded]:
    """Fold texts that are equal but for white space, in order of first appearance."""
    places: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        places.setdefault(fold_space(text), []).append(row)
    return [Folded(texts[rows[0]], tuple(rows)) for rows in places.values()]


def length_rule(lengths: Sequence[int], minimum: int = 20) -> LengthRule:
    """The minimum length to apply, in the unit of the lengths (tokens, words).

    A strict minimum throws backdoors away, because they were trained to answer briefly: it holds only where
    more than half of the texts pass it.
    """
    kept = sum(length >= minimum for length in lengths)
    if 2 * kept > len(lengths):
        return LengthRule(minimum, kept, len(lengths))
    return LengthRule(0, len(lengths), len(lengths))
