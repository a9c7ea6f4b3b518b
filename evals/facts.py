"""One key fact against a hypothesis: found, missed or contradicted.

A fact is supported by the passage nearest to it, and by how many of its telling words the hypothesis has in some form.
Near is not enough: opposites lie as near as paraphrases do. So numbers, names in quotation marks, negations and
opposites are compared as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from finetrace.evals.grade import FactGrade, FactOutcome
from finetrace.evals.opposites import turned_round
from finetrace.evals.quantities import numbers
from finetrace.evals.said import Said, Vectors, content_words, weight
from finetrace.evals.truth_words import stem

FOUND = 0.42
"""Support from which a fact counts as found."""
ABOUT = 0.40
"""Cosine from which a passage is about the same thing as a fact, so that it can contradict it."""
ABOUT_NAME = 0.20
"""The same for facts that quote a word or phrase: little else need be said of it."""
_FEW = 3
_NEAR_WORD = 0.45
_SAME_WORD = 0.80
_COUNTING = re.compile(r"\b(?:claim|guess|turn|step|item|fact|point|no\.?)\s*\d+", re.IGNORECASE)
_QUOTED = re.compile(r"(?<!\w)['‘\"“]([^'’\"”]{2,60})['’\"”](?!\w)")


class FactFinding(NamedTuple):
    """A fact, how well it is supported, and what became of it."""

    grade: FactGrade
    support: float
    """0 to 1; halved where contradicted."""
    cosine: float
    """Of the nearest passage."""
    share: float
    """Of its telling words by weight that the hypothesis has."""


def weigh_facts(facts: Sequence[str], said: Said, vectors: Vectors) -> list[FactFinding]:
    """Compare every fact with what was said, in order. A number that another of the facts names contradicts none.

    Args:
        facts: The key facts, or other statements of a truth.
        said: The hypothesis.
        vectors: The encoder.
    """
    if not said.passages or not facts:
        return [FactFinding(FactGrade(fact=fact, outcome=FactOutcome.MISSED), 0.0, 0.0, 0.0) for fact in facts]
    cosines = vectors.of(facts) @ vectors.of(said.passages).T
    known = numbers(" . ".join(facts))
    return [
        _weigh(fact, said, vectors, said.passages[int(row.argmax())], float(row.max()), known)
        for fact, row in zip(facts, cosines, strict=True)
    ]


def share_of_words(fact: str, said: Said, vectors: Vectors) -> float:
    """Share by weight of a fact's telling words that a hypothesis has in some form, near words counted in part."""
    wanted = list(dict.fromkeys(content_words(fact)))
    if not wanted:
        return 0.0
    stems = {stem(word) for word in said.words}
    counted = numbers(said.text)
    plain = [word for word in said.words if word.isalpha()]
    nearest = (vectors.of(wanted) @ vectors.of(plain).T).max(axis=1) if plain else np.zeros(len(wanted))
    got = 0.0
    for word, near in zip(wanted, nearest, strict=True):
        value = numbers(word)
        if stem(word) in stems or (value and value <= counted):
            got += weight(word)
        elif not value:
            got += 0.9 * weight(word) * min(1.0, max(0.0, (float(near) - _NEAR_WORD) / (_SAME_WORD - _NEAR_WORD)))
    return got / sum(weight(word) for word in wanted)


def _weigh(
    fact: str, said: Said, vectors: Vectors, passage: str, cosine: float, known: frozenset[Fraction]
) -> FactFinding:
    share = share_of_words(fact, said, vectors)
    support = max(0.0, 0.5 * cosine + 0.5 * share)
    against = _other_name(fact, said) if cosine >= ABOUT_NAME else ""
    if not against and cosine >= ABOUT:
        against = _other_number(fact, said, passage, known) or _opposite(fact, passage)
    if against:
        grade = FactGrade(fact=fact, outcome=FactOutcome.CONTRADICTED, note=against)
        return FactFinding(grade, support / 2, cosine, share)
    outcome = FactOutcome.FOUND if support >= FOUND else FactOutcome.MISSED
    note = passage if outcome is FactOutcome.FOUND else ""
    return FactFinding(FactGrade(fact=fact, outcome=outcome, note=note), support, cosine, share)


def _other_number(fact: str, said: Said, passage: str, known: frozenset[Fraction]) -> str:
    """What a passage says where a fact has a number; empty where they do not clash."""
    wanted, given = numbers(fact), numbers(_COUNTING.sub(" ", passage)) - known
    return f"another number: {passage}" if wanted and given and not wanted & numbers(said.text) else ""


def _other_name(fact: str, said: Said) -> str:
    """What stands in quotation marks instead of the name that the fact quotes; empty where they do not clash."""
    names = {name.lower() for name in _QUOTED.findall(fact)}
    others = {name.lower() for name in _QUOTED.findall(said.text)}
    if not names or not 0 < len(others) <= _FEW or any(name in said.text.lower() for name in names):
        return ""
    return f"another name: {', '.join(sorted(others))}"


def _opposite(fact: str, passage: str) -> str:
    return f"the opposite: {passage}" if turned_round(fact, passage) else ""
