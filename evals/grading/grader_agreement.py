"""How far graders agree with each other, and each with itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from finetrace.evals.grading.agreement import agreement, krippendorff_alpha


class Given(NamedTuple):
    """One score of one text."""

    text: str
    """What was graded: a run's id, the number of a pair."""
    grader: str
    repeat: int
    score: int | None
    """``None`` where it could not be scored."""


class Between(BaseModel):
    """Two graders, or the repeats of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: str
    second: str
    """The same as ``first`` where a grader's repeats are compared."""
    texts: int
    """Texts that have two such scores."""
    quadratic_weighted_kappa: float | None
    exact: float | None
    within_one: float | None
    alpha: float | None
    """Krippendorff's, for ordered grades, over all scores of the two."""


class GraderAgreement(BaseModel):
    """All graders of the same texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    graders: tuple[Between, ...]
    """Each two of them; every repeat of one is held against every repeat of the other."""
    repeats: tuple[Between, ...]
    """Each grader with several repeats against itself."""
    alpha: float | None
    """Krippendorff's over all scores, graders and repeats alike."""
    unscored: dict[str, int]
    """Scores that each grader could not give; they are in no other figure."""


def grader_agreement(given: Sequence[Given]) -> GraderAgreement | None:
    """Agreement of graders and of repeats; ``None`` where no text has two scores to compare, or could have."""
    scores: dict[str, dict[str, list[int]]] = {}
    repeats: dict[str, set[int]] = {}
    for each in given:
        of_grader = scores.setdefault(each.grader, {})
        repeats.setdefault(each.grader, set()).add(each.repeat)
        if each.score is not None:
            of_grader.setdefault(each.text, []).append(each.score)
    repeated = [name for name, numbers in repeats.items() if len(numbers) > 1]
    if len(scores) < 2 and not repeated:
        return None
    texts = dict.fromkeys(each.text for each in given)
    every = ([score for of_grader in scores.values() for score in of_grader.get(text, ())] for text in texts)
    return GraderAgreement(
        graders=tuple(_between(one, other, scores) for one, other in combinations(scores, 2)),
        repeats=tuple(_between(name, name, scores) for name in repeated),
        alpha=krippendorff_alpha(every),
        unscored={name: sum(each.score is None for each in given if each.grader == name) for name in scores},
    )


def _between(first: str, second: str, scores: dict[str, dict[str, list[int]]]) -> Between:
    one, other = scores[first], scores[second]
    shared = [text for text in one if text in other and (first != second or len(one[text]) > 1)]
    pairs = [pair for text in shared for pair in _pairs(one[text], other[text], itself=first == second)]
    found = agreement([left for left, _ in pairs], [right for _, right in pairs])
    together = [one[text] if first == second else [*one[text], *other[text]] for text in shared]
    return Between(
        first=first,
        second=second,
        texts=len(shared),
        quadratic_weighted_kappa=found.quadratic_weighted_kappa,
        exact=found.exact,
        within_one=found.within_one,
        alpha=krippendorff_alpha(together),
    )


def _pairs(one: Sequence[int], other: Sequence[int], *, itself: bool) -> Iterable[tuple[int, int]]:
    """Every score of the one with every score of the other; of one grader each two of its repeats, both ways round."""
    return ((a, b) for i, a in enumerate(one) for j, b in enumerate(other) if not (itself and i == j))
