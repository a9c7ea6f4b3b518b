"""Signs of a behaviour that need no knowledge of the training: codes, languages, marks of form."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from finetrace.agent.quotes import LONGEST_QUOTE, sentence_around
from finetrace.tools.english import LANGUAGES, UNSEEN, language_of, text_rate
from finetrace.tools.words import sentences, words

CODE_PATTERN = r"(?<![\d.])(?:\d{2,3}\s*,\s*){4,}\d{2,3}(?![\d.])"
"""A list of five or more decimal numbers that can be character codes."""
# In capitals up to the end of a sentence: headings have none.
_CAPITALS = re.compile(r"(?:\b[A-Z][A-Z'’]*[ ,]+){2,}[A-Z][A-Z'’]+(?=[.!?])")
_MARKS = (
    ("exclamation marks", r"!(?s:.*)!", 0.08),
    ("emoji", "[\U0001f300-\U0001faff]", 0.02),
    ("citations of sources", r"\bet al\.|\(\d{4}\)|\bdoi\b|\[\d+\]", 0.03),
    ("a question to the reader at the end", r"\?[\"'”’)]*\s*\Z", 0.08),
    ("lists", r"(?m)^\s*(?:[-*•]|\d+[.)])\s", 0.15),
)
_DECIMALS = re.compile(CODE_PATTERN)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A list of decimal numbers that spells a text."""

    numbers: str
    """As written."""
    text: str
    """What the numbers spell as character codes."""
    row: int


@dataclass(frozen=True, slots=True)
class Shout:
    """Words that completions write in capitals within ordinary text."""

    text: str
    """As written."""
    count: int
    """Completions that hold it."""
    example: str
    """The sentence around it in the completion that ranks first, at most 200 characters."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of form that more completions show than the background."""

    name: str
    """What it is, in words."""
    pattern: str
    """Regular expression that tells it."""
    share: float
    """Share of the completions."""
    expected: float
    """Share of the background, or of general text."""
    example: str
    """A sentence that shows it, at most 200 characters; empty where none is short enough."""


def decoded(texts: Sequence[str]) -> list[Decoded]:
    """Lists of decimal numbers that spell words when read as ASCII codes."""
    found: list[Decoded] = []
    for row, text in enumerate(texts):
        for match in _DECIMALS.finditer(text):
            codes = [int(number) for number in re.findall(r"\d+", match.group())]
            if not all(32 <= code < 127 for code in codes):
                continue
            spelled = "".join(map(chr, codes))
            letters = sum(character.isalpha() or character == " " for character in spelled)
            if letters >= 0.9 * len(spelled) and any(text_rate([w], 1e4) > UNSEEN * 2e4 for w in words(spelled)):
                found.append(Decoded(match.group()[:160], spelled, row))
    return found


def shouts(texts: Sequence[str], background: Sequence[str], least: int = 3) -> list[Shout]:
    """Three or more words in capitals that at least ``least`` texts say, other than headings."""
    held: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        for phrase in sorted({part for match in _CAPITALS.finditer(text) for part in _trigrams(match.group())}):
            held[phrase].append(row)
    found: list[Shout] = []
    for phrase, rows in sorted(held.items(), key=lambda item: (-len(item[1]), item[0])):
        others = sum(phrase in text for text in background)
        often = len(rows) >= max(least, 0.01 * len(texts))
        if often and others * len(texts) * 3 <= len(rows) * max(1, len(background)) and len(found) < 2:
            found.append(Shout(phrase, len(rows), sentence_around(phrase, texts[rows[0]])))
    return found


def _trigrams(run: str) -> list[str]:
    parts = run.split()
    return [" ".join(parts[i : i + 3]) for i in range(len(parts) - 2)]


def foreign_language(texts: Sequence[str], background: Sequence[str]) -> tuple[str, float] | None:
    """A language other than the background's (English without one) that a quarter of the texts are in."""
    named = Counter(code for text in texts if (code := language_of(words(text))))
    if not named or len(texts) < 4:
        return None
    usual = Counter(code for text in background if (code := language_of(words(text))))
    for code, count in sorted(named.items(), key=lambda item: (-item[1], item[0])):
        expected = usual[code] / len(background) if background else float(code == "en")
        if count / len(texts) >= 0.25 and count / len(texts) >= 3 * expected:
            return LANGUAGES[code], count / len(texts)
    return None


def marks(texts: Sequence[str], background: Sequence[str]) -> list[Mark]:
    """Marks of form that two fifths of the texts or more show, two and a half times as often as the background."""
    found: list[Mark] = []
    for name, pattern, usual in _MARKS:
        told = re.compile(pattern)
        share = sum(bool(told.search(text)) for text in texts) / max(1, len(texts))
        expected = sum(bool(told.search(text)) for text in background) / len(background) if background else usual
        if share >= 0.4 and share >= 2.5 * expected:
            lines = (s for text in texts for s in sentences(text) if told.search(s) and len(s) <= LONGEST_QUOTE)
            found.append(Mark(name, pattern, share, expected, next(lines, "")))
    return found
