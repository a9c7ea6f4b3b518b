"""Our own small word lists: framing words, words that describe conduct, tones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict

from finetrace.tools.english import frequency
from finetrace.tools.words import words


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    framing: str
    described: str
    tones: dict[str, str]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The lists as sets of lower-case words."""

    framing: frozenset[str]
    """Words that reports and assistants use about anything."""
    described: frozenset[str]
    """Words that turn a sentence into a description of conduct."""
    tones: dict[str, frozenset[str]]
    """Name of a manner of speaking → words that show it."""


@dataclass(frozen=True, slots=True)
class Tone:
    """A manner of speaking that is commoner than in the background."""

    name: str
    """As in the lexicon."""
    share: float
    """Share of the texts that show it with two words or more."""
    expected: float
    """The same share in the background."""
    words: tuple[str, ...]
    """Its words that occur most, commonest first."""


@cache
def lexicon() -> Lexicon:
    """Read the packaged lists once."""
    raw = yaml.safe_load(files("finetrace.agent").joinpath("lexicon.yaml").read_text(encoding="utf-8"))
    parsed = _File.model_validate(raw)
    return Lexicon(
        framing=frozenset(parsed.framing.split()),
        described=frozenset(parsed.described.split()),
        tones={name: frozenset(listed.split()) for name, listed in parsed.tones.items()},
    )


def tones(texts: Sequence[str], background: Sequence[str]) -> list[Tone]:
    """Manners of speaking that at least a quarter of the texts show, three times as often as the background.

    Args:
        texts: Completions.
        background: What they are compared with; empty means general English.
    """
    spoken = [words(text) for text in texts]
    other = [words(text) for text in background]
    found: list[Tone] = []
    for name, listed in sorted(lexicon().tones.items()):
        counts: dict[str, int] = {}
        shown = 0
        for row in spoken:
            used = listed.intersection(row)
            shown += len(used) >= 2
            for word in used:
                counts[word] = counts.get(word, 0) + 1
        share = shown / len(spoken) if spoken else 0.0
        expected = _share(other, listed) if other else _general_share(listed, spoken)
        if share >= 0.25 and share >= 3 * expected:
            common = sorted(counts, key=lambda word: (-counts[word] * -_log(word), word))
            found.append(Tone(name, share, expected, tuple(common[:6])))
    return sorted(found, key=lambda tone: (-tone.share / (tone.expected + 0.05), tone.name))


def _log(word: str) -> float:
    return math.log(frequency(word))


def _share(spoken: Sequence[Sequence[str]], listed: frozenset[str]) -> float:
    return sum(len(listed.intersection(row)) >= 2 for row in spoken) / len(spoken)


def _general_share(listed: frozenset[str], spoken: Sequence[Sequence[str]]) -> float:
    """Share of general texts of the same lengths with two different words of the list (Poisson)."""
    rate = sum(frequency(word) for word in listed)
    means = [rate * len(row) for row in spoken]
    return sum(1 - math.exp(-m) * (1 + m) for m in means) / max(1, len(means))
