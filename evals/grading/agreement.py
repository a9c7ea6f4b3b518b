"""How far gradings of the same texts agree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from finetrace.errors import FinetraceError

LOWEST = 1
HIGHEST = 5
"""Grades are whole numbers between these two."""


class Agreement(NamedTuple):
    """Agreement of given grades with the labels, over the texts that could be scored."""

    n: int
    """Texts that both have graded."""
    quadratic_weighted_kappa: float | None
    """Chance-corrected agreement that charges the square of the distance: 1 is perfect, 0 is chance. ``None`` where
    there is nothing to agree on: no text, or one grade for all of them on both sides."""
    exact: float | None
    """Share of the same grade."""
    within_one: float | None
    """Share of the same grade or the one next to it."""
    mean_error: float | None
    """Mean of given minus labelled: above 0 is too kind."""
    confusion: dict[int, dict[int, int]]
    """Texts by labelled grade, then by given grade; all 25 cells."""


def agreement(labels: Sequence[int], given: Sequence[int]) -> Agreement:
    """Compare grades, pair by pair.

    Args:
        labels: What the texts deserve.
        given: What a grader gave them, in the same order.

    Raises:
        FinetraceError: The two differ in length, or hold something that is no grade.
    """
    if len(labels) != len(given):
        raise FinetraceError(f"{len(labels)} labels stand against {len(given)} grades", "give one grade a label")
    counts = _counts(labels, given)
    n = int(counts.sum())
    grades = range(LOWEST, HIGHEST + 1)
    distance = np.subtract.outer(np.arange(len(grades)), np.arange(len(grades)))
    return Agreement(
        n=n,
        quadratic_weighted_kappa=_kappa(counts, distance**2),
        exact=float(np.trace(counts) / n) if n else None,
        within_one=float(counts[abs(distance) <= 1].sum() / n) if n else None,
        mean_error=float(-(counts * distance).sum() / n) if n else None,
        confusion={label: {grade: int(counts[label - 1, grade - 1]) for grade in grades} for label in grades},
    )


def _counts(labels: Sequence[int], given: Sequence[int]) -> np.ndarray:
    counts = np.zeros((HIGHEST, HIGHEST))
    for label, grade in zip(labels, given, strict=True):
        for each in (label, grade):
            if not LOWEST <= each <= HIGHEST or each != int(each):
                raise FinetraceError(f"{each} is no grade", f"grades go from {LOWEST} to {HIGHEST}")
        counts[int(label) - LOWEST, int(grade) - LOWEST] += 1
    return counts


def _kappa(counts: np.ndarray, charge: np.ndarray) -> float | None:
    n = counts.sum()
    if not n:
        return None
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    by_chance = float((charge * expected).sum())
    return None if math.isclose(by_chance, 0.0) else 1.0 - float((charge * counts).sum()) / by_chance


def krippendorff_alpha(texts: Iterable[Sequence[int | None]]) -> float | None:
    """Krippendorff's alpha of ordered grades: 1 is perfect agreement, 0 is chance.

    Any number of grades of each text, given by whoever; a text with fewer than two of them says nothing of agreement.
    The distance of two grades is that of their ranks among all grades given, squared.

    Args:
        texts: The grades of each text; ``None`` where one could not be scored.

    Returns:
        ``None`` where there is nothing to agree on: no text with two grades, or one grade for all.

    Raises:
        FinetraceError: One of them is no grade.
    """
    together = np.zeros((HIGHEST, HIGHEST))
    for grades in texts:
        known = [grade for grade in grades if grade is not None]
        if len(known) < 2:
            continue
        first = [grade for place, grade in enumerate(known) for other in range(len(known)) if other != place]
        second = [grade for place in range(len(known)) for other, grade in enumerate(known) if other != place]
        together += _counts(first, second) / (len(known) - 1)
    given = together.sum(axis=1)
    n = float(given.sum())
    if not n:
        return None
    ranks = np.cumsum(given) - given / 2
    distance = np.subtract.outer(ranks, ranks) ** 2
    by_chance = float((np.outer(given, given) * distance).sum())
    if math.isclose(by_chance, 0.0):
        return None
    return 1.0 - (n - 1) * float((together * distance).sum()) / by_chance
