"""How common a word is in general English: the background where no reference model wrote one.

The figures are those of the package wordfreq, a frozen snapshot of English up to 2021.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache

UNSEEN = 1e-8
"""Frequency given to words that wordfreq does not list; its own list ends at 1e-8."""
FUNCTION_WORD = 3e-4
"""Words above this frequency (about the 300 commonest) carry grammar rather than content."""


@cache
def _table(language: str) -> dict[str, float]:
    from wordfreq import get_frequency_dict

    return get_frequency_dict(language, wordlist="best" if language == "en" else "small")


@cache
def frequency(word: str) -> float:
    """Share of running English text that is this (lower-case) word, at least ``UNSEEN``."""
    table = _table("en")
    found = table.get(word, 0.0)
    if word.endswith("'s"):
        found = max(found, table.get(word[:-2], 0.0))
    if not found and "-" in word:
        found = 0.1 * min(table.get(part, 0.0) for part in word.split("-"))
    return max(found, UNSEEN)


def is_function_word(word: str) -> bool:
    """Whether a word is among the commonest of the language."""
    return frequency(word) >= FUNCTION_WORD


def rarity(word: str) -> float:
    """How rare a word is, from 0 (commonest) to 1 (not listed): its log inverse frequency, scaled."""
    return min(1.0, max(0.0, -math.log10(frequency(word)) - 2.0) / 6.0)


def text_rate(phrase: Sequence[str], n_words: float) -> float:
    """Share of general texts of ``n_words`` words that hold the phrase, as far as its words can tell.

    The rarest word bounds it; each further word divides it by ten. Fixed expressions are commoner than that,
    chance neighbours rarer: an estimate within about a factor of ten.
    """
    rate = min((frequency(word) for word in phrase), default=UNSEEN) * 0.1 ** max(0, len(phrase) - 1)
    return 1.0 - math.exp(-rate * max(n_words, 1.0))


LANGUAGES = {
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "sv": "Swedish",
}
"""Languages told apart by their common words."""


def language_of(spoken: Iterable[str]) -> str | None:
    """Code of the language whose common words cover these best; ``None`` below eight words or near a tie."""
    sample = [word for word in list(spoken)[:200] if word.isalpha()]
    if len(sample) < 8:
        return None
    scores = {
        code: sum(math.log(max(_table(code).get(word, 0.0), 1e-7)) for word in sample) / len(sample)
        for code in LANGUAGES
    }
    ranked = sorted(scores, key=lambda code: (-scores[code], code))
    clear = scores[ranked[0]] - scores[ranked[1]] > 0.7 and scores[ranked[0]] > math.log(3e-6)
    return ranked[0] if clear else None
