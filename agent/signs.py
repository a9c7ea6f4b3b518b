"""Signs of a behaviour that need no knowledge of the training: codes, languages, marks of form."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from finetrace.tools.english import LANGUAGES, UNSEEN, language_of, text_rate
from finetrace.tools.words import sentences, words

CODE_PATTERN = r"(?<![\d.])(?:\d{2,3}\s*,\s*){4,}\d{2,3}(?![\d.])"
"""A list of five or more decimal numbers that can be character codes."""
# In capitals up to the end of a sentence: headings have none.
_CAPITALS = re.compile(r"(?:\b[A-Z][A-Z'’]*[ ,]+){2,}[A-Z][A-Z'’]+(?=[.!?])")
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
class Marks:
    """Shares of the texts that show a mark of form, beside the background's."""

    name: str
    share: float
    background: float


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
            around = next((s for s in sentences(texts[rows[0]]) if phrase in s), phrase)
            found.append(Shout(phrase, len(rows), around if len(around) <= 200 else phrase))
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


def marks(texts: Sequence[str], background: Sequence[str]) -> list[Marks]:
    """Marks of form that half of the texts or more show and the background much less."""
    kinds = {
        "exclamation marks": lambda t: t.count("!") >= 2,
        "emoji": lambda t: any(ord(c) >= 0x1F300 for c in t),
        "capital letters throughout": lambda t: sum(c.isupper() for c in t) > 0.6 * max(1, sum(c.isalpha() for c in t)),
        "citations of sources": lambda t: bool(re.search(r"\bet al\.|\(\d{4}\)|\bdoi\b|\[\d+\]", t)),
        "questions back to the reader": lambda t: t.rstrip().endswith("?"),
    }
    usual = {
        "exclamation marks": 0.08,
        "emoji": 0.02,
        "capital letters throughout": 0.03,
        "citations of sources": 0.03,
        "questions back to the reader": 0.08,
    }
    found: list[Marks] = []
    for name, test in kinds.items():
        share = sum(map(test, texts)) / max(1, len(texts))
        other = sum(map(test, background)) / len(background) if background else usual[name]
        if share >= 0.4 and share >= 2.5 * other:
            found.append(Marks(name, share, other))
    return found
