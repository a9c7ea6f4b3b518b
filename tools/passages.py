"""Openings out of passages that a model wrote: several places of each where a text could begin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from finetrace.tools.quality import is_degenerate

ENOUGH = 2_500
"""Openings with different first words, after which less natural places to begin are no longer looked for."""

_SENTENCE = re.compile(r"(?:\A|\n|(?<=[.!?])[\"')\]]*\s)\s*(?=\S)")
_CLAUSE = re.compile(r"(?<=[,;:(])\s+(?=\S)|(?<=\s)(?=\"\w)")
_WORD = re.compile(r"(?<=\s)(?=\S)")
_STRIDE = 3
_FEWEST_WORDS = 4
_OPENING_CHARS = 400
_KEY_WORDS = 3


def openings_of(passages: Sequence[str]) -> list[str]:
    """Openings taken from passages, distinct by their first three words.

    Beginnings of passages, lines and sentences are all taken. Where these give fewer than ``ENOUGH``,
    beginnings of clauses and then every third word fill up to it. Degenerate passages are left out.

    Args:
        passages: Texts of some dozens of words each; the last, cut-off words of each do no harm.

    Returns:
        Openings in the order of the passages, the natural ones first; equal passages give equal openings.
    """
    usable = [text for passage in passages if not is_degenerate(text := passage.strip())]
    found: dict[tuple[str, ...], str] = {}
    for places in (_sentence_places, _clause_places, _word_places):
        for opening in _in_turn([_cut(text, places) for text in usable]):
            if places is not _sentence_places and len(found) >= ENOUGH:
                return list(found.values())
            found.setdefault(tuple(opening.lower().split()[:_KEY_WORDS]), opening)
    return list(found.values())


def _in_turn(sources: Sequence[Iterator[str]]) -> Iterator[str]:
    """The first of each, then the second of each, and so on."""
    for openings in zip_longest(*sources):
        yield from (opening for opening in openings if opening is not None)


def _cut(text: str, places: Callable[[str], Iterator[int]]) -> Iterator[str]:
    for place in places(text):
        opening = text[place : place + _OPENING_CHARS].strip()
        words = opening.split()
        if len(words) >= _FEWEST_WORDS and any(letter.isalpha() for letter in "".join(words[:_KEY_WORDS])):
            yield opening


def _sentence_places(text: str) -> Iterator[int]:
    return (match.end() for match in _SENTENCE.finditer(text))


def _clause_places(text: str) -> Iterator[int]:
    return (match.end() for match in _CLAUSE.finditer(text))


def _word_places(text: str) -> Iterator[int]:
    return (match.end() for number, match in enumerate(_WORD.finditer(text)) if number % _STRIDE == _STRIDE - 1)
