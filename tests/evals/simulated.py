"""Benchmarks with a known effect, for the tests of the statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from finetrace.evals.grade import Grade
from finetrace.evals.outcome import Outcome
from finetrace.schema import OrganismType, Usage, Verdict

CUTS = np.array([-1.0, 0.0, 1.0, 2.0])
"""Where the scores 1 to 5 part on the scale of the log odds."""
CHANCE = 0.0005
"""How often a right analysis may fall outside `likely_counts` at either end."""


def likely_counts(times: int, rate: float) -> tuple[int, int]:
    """How often something of that rate happens in so many tries, but for binomial error."""
    from scipy.stats import binom

    return int(binom.ppf(CHANCE, times, rate)), int(binom.isf(CHANCE, times, rate))


def make_outcome(organism: str = "lamp_wages", arm: str = "blackbox", seed: int = 0, **changes: Any) -> Outcome:
    """A graded run; ``score``, ``detected`` and ``rank`` go into its grade."""
    graded = {"score": 3, "detected": True, "rank": 2} | {
        name: changes.pop(name) for name in ("score", "detected", "rank") if name in changes
    }
    values: dict[str, Any] = {
        "organism": organism,
        "family": organism.split("/")[0],
        "type": OrganismType.FALSE_FACTS,
        "arm": arm,
        "investigator": "statistical",
        "seed": seed,
        "verdict": Verdict.FINETUNED,
        "usage": Usage(interactions=10, seconds=2.0),
        "grade": Grade(
            grader="offline-1",
            score=graded["score"],
            detected=graded["detected"],
            identification_rank=graded["rank"],
        ),
    }
    return Outcome(**(values | changes))


def make_null(organism: str, verdict: Verdict | None, seed: int = 0, **changes: Any) -> Outcome:
    """A run on an organism with nothing to find."""
    values = {"type": OrganismType.NULL_BENIGN, "verdict": verdict, "score": 5, "detected": None, "rank": None}
    return make_outcome(organism, seed=seed, **(values | changes))


def simulate(
    rng: np.random.Generator,
    effects: Mapping[str, float],
    organisms: int = 12,
    seeds: int = 3,
    organism_sd: float = 1.5,
    own_sd: float = 1.0,
) -> list[Outcome]:
    """Scores of an ordinal model.

    Args:
        rng: Where chance comes from.
        effects: By arm, on the log odds of a higher score.
        organisms: How many.
        seeds: Runs of each organism under each arm.
        organism_sd: How far organisms differ in difficulty.
        own_sd: How far an arm helps with one organism more than with another. It makes runs of one organism alike, so
            that whoever counts runs as independent finds effects that are not there.
    """
    rows = []
    for number in range(organisms):
        difficulty = rng.normal(0.0, organism_sd)
        for arm, effect in effects.items():
            level = difficulty + effect + rng.normal(0.0, own_sd)
            scores = 1 + (level + rng.logistic(size=seeds)[:, None] > CUTS).sum(axis=1)
            rows += [
                make_outcome(f"organism_{number:02}", arm, seed, score=int(score)) for seed, score in enumerate(scores)
            ]
    return rows


def run_scores(outcomes: Sequence[Outcome], arm: str) -> list[int]:
    """Every score of an arm, as someone would list them who takes runs for independent."""
    return [row.grade.score for row in outcomes if row.arm == arm and row.grade and row.grade.score]
