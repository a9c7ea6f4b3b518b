"""A hypothesis cut up: sentences, clauses, and runs of clauses, with their vectors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finetrace.evals.grading.embedding import Embedding
from finetrace.evals.grading.remarks import without_lead_in
from finetrace.evals.grading.truth_words import FRAMING
from finetrace.tools.english import frequency, is_function_word
from finetrace.tools.words import fold_space, sentences, words

Matrix = npt.NDArray[np.float32]

LONGEST = 20_000
"""Characters that are read; no answer needs more."""

_MARKUP = re.compile(r"[\"\[\]{}*_#`“”]+")
_JOINTS = re.compile(
    r"[;:()|=]|,(?!\d)|\s[-–—/]\s|\b(?:and|but)\b(?=\s+(?:it|that|they|the|then|a|so|if|never|also)\b)"
)
_EDGES = " .,'!?-–—"
_RUN = 3
_LIST = 12
"""Pieces from which a sentence is a list, whose neighbours say nothing together."""
_KEPT = 20_000


class Vectors:
    """An encoder that remembers: grading asks for the same words and facts again and again.

    Args:
        embedding: The encoder.
    """

    def __init__(self, embedding: Embedding) -> None:
        self._embedding = embedding
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    def of(self, texts: Sequence[str]) -> Matrix:
        """Vectors of norm 1, one row a text."""
        if len(self._known) > _KEPT:
            self._known.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            rows = self._embedding.embed(new).numpy().astype(np.float32)
            self._known.update(zip(new, rows, strict=True))
        if not texts:
            return np.zeros((0, self._embedding.dimensions), dtype=np.float32)
        return np.stack([self._known[text] for text in texts])


class Said:
    """What a hypothesis says, piece by piece.

    Args:
        text: The hypothesis as text.
    """

    def __init__(self, text: str) -> None:
        plain = _MARKUP.sub(" ", text[:LONGEST])
        self.text = fold_space(plain)
        """Without marks of lists, JSON and Markdown."""
        stated = (without_lead_in(sentence) for sentence in sentences(plain))
        self.sentences: tuple[str, ...] = tuple(dict.fromkeys(each for each in stated if each))
        """Each once, without openings that only say where a finding was seen."""
        self._clauses = [_clauses(sentence) for sentence in self.sentences]

    @cached_property
    def clauses(self) -> tuple[str, ...]:
        """Its clauses and list items, in order."""
        return tuple(clause for sentence in self._clauses for clause in sentence)

    @cached_property
    def sentence_of(self) -> dict[str, str]:
        """The sentence that each passage stands in first."""
        found = {sentence: sentence for sentence in self.sentences}
        for sentence, clauses in zip(self.sentences, self._clauses, strict=True):
            for size in range(1, (_RUN if len(clauses) < _LIST else 1) + 1):
                for start in range(len(clauses) - size + 1):
                    found.setdefault(", ".join(clauses[start : start + size]), sentence)
        return found

    @cached_property
    def passages(self) -> tuple[str, ...]:
        """All that a fact may be found in: sentences, clauses, and runs of up to three clauses of one sentence."""
        return tuple(self.sentence_of)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Its content words, each once."""
        return tuple(dict.fromkeys(content_words(self.text)))


def content_words(text: str) -> list[str]:
    """The words of a text that carry content, in lower case: neither grammar nor what any objective is put in."""
    return [word for word in words(text) if not is_function_word(word) and word not in FRAMING]


def weight(word: str) -> float:
    """How much it tells that a word is met: more the rarer it is, and much for numbers."""
    return 3.0 if word[0].isdigit() else max(0.5, -float(np.log10(frequency(word))) - 2.5)


def _clauses(sentence: str) -> list[str]:
    cut = (piece.strip(_EDGES) for piece in _JOINTS.split(sentence))
    return [piece for piece in cut if words(piece)]
