"""Benchmarks with a known effect, for the tests of the statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.simulations import simulate_scores
from finetrace.evals.grading.grade import Grade
from finetrace.evals.statistics.outcome import Outcome
from finetrace.schema import OrganismType, Usage, Verdict

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
    """The outcomes of a benchmark with `simulate_scores`, whose arguments these are."""
    found = simulate_scores(rng, effects, organisms, seeds, organism_sd, own_sd)
    return [
        make_outcome(f"organism_{number:02}", arm, seed, score=int(found[arm][number, seed]))
        for number in range(organisms)
        for arm in effects
        for seed in range(seeds)
    ]


def run_scores(outcomes: Sequence[Outcome], arm: str) -> list[int]:
    """Every score of an arm, as someone would list them who takes runs for independent."""
    return [row.grade.score for row in outcomes if row.arm == arm and row.grade and row.grade.score]
