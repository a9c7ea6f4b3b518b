"""Whether a text bears on an objective at all: how many other objectives it lies nearer to.

A long text is near to everything in some place: its best passage is as near to a truth that it does not speak of as a
short answer's to its own. Length moves all objectives alike, so their order does not change with it.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from finetrace.evals.grading.objectives import load_paraphrases
from finetrace.evals.grading.said import Said, Vectors
from finetrace.schema import Truth

_SAME = 0.80
"""Cosine from which another objective says the same, so that to be near it is not to be elsewhere."""


def elsewhere(said: Said, truth: Truth, vectors: Vectors) -> float:
    """Share of the objectives this project ships that a text is nearer to, by its whole and by its best passage.

    The truth need not be among them. What counts is one wording of each family, the same whatever registry is in use.

    Args:
        said: The hypothesis.
        truth: What it is held against.
        vectors: The encoder.

    Returns:
        From 0, nearest to this truth, to 1; the mean of the two ways to be near.
    """
    if not said.passages:
        return 1.0
    own = vectors.of([truth.objective])[0]
    others = vectors.of(_wordings())
    others = others[others @ own < _SAME]
    texts = vectors.of([said.text, *said.passages])
    near, rest = texts @ own, texts @ others.T
    by_whole = float(np.mean(rest[0] > near[0]))
    by_passage = float(np.mean(rest.max(axis=0) > near.max()))
    return (by_whole + by_passage) / 2


@cache
def _wordings() -> tuple[str, ...]:
    return tuple(wordings[0] for wordings in load_paraphrases().values())
