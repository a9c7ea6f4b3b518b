"""How far each passage of a hypothesis states each fact of a truth, by meaning and by words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from finetrace.evals.grading.quantities import numbers
from finetrace.evals.grading.said import Said, Vectors, content_words, weight
from finetrace.evals.grading.truth_words import stem

_NEAR_WORD = 0.45
_SAME_WORD = 0.80
_NEAR_COUNTS = 0.9
_TOPIC = 0.25
"""What is left of the weight of a word that many of the facts have."""
_LEAST_SHARED = 3
"""Facts from which what they share can be told from what they say."""
_MEANING = 0.55
"""What likeness of meaning counts in how far a fact is stated; the rest is its words."""
_ALONE = 0.20
"""What the subject alone makes alike, where there are too few facts to tell it."""

Floats = npt.NDArray[np.float32]


class Support(NamedTuple):
    """How far passages support one fact."""

    cosines: Floats
    """Of the fact with each passage [passages]."""
    stated: Floats
    """How far each passage states the fact, 0 to about 1 [passages]."""


def shared_stems(facts: Sequence[str]) -> frozenset[str]:
    """Stems that so many of the facts have that they tell none of them from the others."""
    counted = Counter(each for fact in facts for each in {stem(word) for word in content_words(fact)})
    return frozenset(each for each, count in counted.items() if count >= max(2, len(facts) / _LEAST_SHARED))


def supports(facts: Sequence[str], said: Said, vectors: Vectors) -> list[Support]:
    """Lay all that was said beside each fact.

    A passage that only shares with a fact what all the facts share, their subject, does not state it: the direction
    common to the facts is taken out of their vectors, and common words weigh little.

    Args:
        facts: Key facts, at least one.
        said: A hypothesis with at least one passage.
        vectors: The encoder.
    """
    own, given = vectors.of(facts), vectors.of(said.passages)
    cosines: Floats = own @ given.T
    meaning = _without_subject(own, given) if len(facts) >= _LEAST_SHARED else cosines - _ALONE
    heard = _Heard(said, vectors)
    common = shared_stems(facts)
    return [
        Support(row, (_MEANING * telling + (1 - _MEANING) * heard.share(fact, common)).astype(np.float32))
        for fact, row, telling in zip(facts, cosines, meaning, strict=True)
    ]


def _without_subject(facts: Floats, passages: Floats) -> Floats:
    """Products of facts and passages once the direction common to the facts is gone [facts, passages]."""
    subject = facts.mean(axis=0)
    subject /= max(float(np.linalg.norm(subject)), 1e-9)
    own = facts - np.outer(facts @ subject, subject)
    own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-9)
    left: Floats = own @ (passages - np.outer(passages @ subject, subject)).T
    return left


class _Heard:
    """The words of a hypothesis, ready to be looked up passage by passage."""

    def __init__(self, said: Said, vectors: Vectors) -> None:
        self._vectors = vectors
        self._plain = [word for word in said.words if word.isalpha()]
        place = {word: index for index, word in enumerate(self._plain)}
        spoken = [content_words(passage) for passage in said.passages]
        self._stems = [{stem(word) for word in each} for each in spoken]
        self._numbers = [numbers(passage) for passage in said.passages]
        self._places = [[place[word] for word in each if word in place] for each in spoken]

    def share(self, fact: str, common: frozenset[str]) -> Floats:
        """Share by weight of a fact's words that each passage has in some form, near words in part [passages]."""
        wanted = list(dict.fromkeys(content_words(fact)))
        if not wanted:
            return np.zeros(len(self._stems), dtype=np.float32)
        near = np.zeros((len(wanted), len(self._plain)), dtype=np.float32)
        if self._plain:
            cosines = self._vectors.of(wanted) @ self._vectors.of(self._plain).T
            near = _NEAR_COUNTS * np.clip((cosines - _NEAR_WORD) / (_SAME_WORD - _NEAR_WORD), 0.0, 1.0)
        weights = np.array([weight(word) * (_TOPIC if stem(word) in common else 1.0) for word in wanted])
        met = np.array([self._met(word, row) for word, row in zip(wanted, near, strict=True)])
        found: Floats = (weights @ met / weights.sum()).astype(np.float32)
        return found

    def _met(self, word: str, near: Floats) -> list[float]:
        """How far each passage has a word; a number is there or not."""
        root, value = stem(word), numbers(word)
        like: Floats = np.zeros_like(near) if value else near
        return [
            1.0 if root in stems or _names(value, named) else float(like[places].max(initial=0.0))
            for stems, named, places in zip(self._stems, self._numbers, self._places, strict=True)
        ]


def _names(value: frozenset[Fraction], named: frozenset[Fraction]) -> bool:
    return bool(value) and value <= named
