"""How often the statistics of a benchmark err, on simulated scores whose truth is known.

    python -m benchmarks.simulations [--times 2000] [--fits 300] [--json]

Scores follow an ordinal model: organisms differ in difficulty, and an arm helps with one organism more than with
another, so that runs of one organism are alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from finetrace.cli import console
from finetrace.evals.statistics.intervals import paired_differences, paired_interval
from finetrace.evals.statistics.ordinal import Scored, fit_ordinal
from finetrace.evals.statistics.outcome import Measure
from finetrace.evals.statistics.permutation import paired_permutation
from finetrace.evals.statistics.results import bounds_of

CUTS = np.array([-1.0, 0.0, 1.0, 2.0])
"""Where the scores 1 to 5 part on the scale of the log odds."""
SCORES = bounds_of(Measure.SCORE)
SEEDS = 5
EFFECT = 2.0
"""Log odds between the arms where there is an effect."""
ORGANISMS = (6, 10, 16)


def simulate_scores(
    rng: np.random.Generator,
    effects: Mapping[str, float],
    organisms: int = 12,
    seeds: int = 3,
    organism_sd: float = 1.5,
    own_sd: float = 1.0,
) -> dict[str, NDArray[np.int64]]:
    """Scores of an ordinal model by arm, organisms × seeds.

    Args:
        rng: Where chance comes from.
        effects: By arm, on the log odds of a higher score.
        organisms: How many.
        seeds: Runs of each organism under each arm.
        organism_sd: How far organisms differ in difficulty.
        own_sd: How far an arm helps with one organism more than with another. It makes runs of one organism alike, so
            that whoever counts runs as independent finds effects that are not there.
    """
    difficulty = rng.normal(0.0, organism_sd, organisms)
    found = {}
    for arm, effect in effects.items():
        level = difficulty + effect + rng.normal(0.0, own_sd, organisms)
        shown = level[:, None] + rng.logistic(size=(organisms, seeds))
        found[arm] = 1 + (shown[:, :, None] > CUTS).sum(axis=2)
    return found


def means_of(scores: NDArray[np.int64]) -> dict[str, float]:
    """The mean of each organism, as the comparison of arms takes it."""
    return {f"organism_{number:02}": float(mean) for number, mean in enumerate(scores.mean(axis=1))}


class Rates(NamedTuple):
    """Shares of simulated benchmarks."""

    organisms: int
    p_below_5: float
    """Without an effect: a permutation test at 5 % that finds one."""
    interval_errs: float
    """Without an effect: an interval that leaves 0 out."""
    ordinal_errs: float
    """Without an effect: an ordinal model whose p is below 0.05."""
    p_finds: float
    """With the effect: a test that finds it."""
    covered: float
    """With the effect: an interval that holds the true difference of mean scores."""
    ordinal_covered: float
    """With the effect, alike for all organisms: an ordinal model whose interval holds it."""


def rates(organisms: int, times: int, fits: int) -> Rates:
    """Simulate benchmarks of so many organisms.

    Args:
        organisms: In each benchmark.
        times: Benchmarks for the tests and intervals.
        fits: Benchmarks for the ordinal model, which takes longer.
    """
    rng = np.random.default_rng(organisms)
    many = simulate_scores(rng, {"a": 0.0, "b": EFFECT}, 200_000, 1)
    truth = float(many["b"].mean() - many["a"].mean())
    p_below, errs, finds, covered = (np.zeros(times, bool) for _ in range(4))
    for place in range(times):
        for effect in (0.0, EFFECT):
            scores = simulate_scores(rng, {"a": 0.0, "b": effect}, organisms, SEEDS)
            first, second = means_of(scores["a"]), means_of(scores["b"])
            small = paired_permutation(paired_differences(first, second), place).p_value <= 0.05
            held = paired_interval(first, second, SCORES, place)
            if held is None or held.low is None or held.high is None:
                raise ValueError("an interval needs two organisms")
            if effect:
                finds[place], covered[place] = small, held.low <= truth <= held.high
            else:
                p_below[place], errs[place] = small, held.excludes_zero
    ordinal_errs = [not _holds(rng, organisms, 0.0, own_sd=1.0) for _ in range(fits)]
    ordinal_covered = [_holds(rng, organisms, EFFECT, own_sd=0.0) for _ in range(fits)]
    figures = (p_below, errs, ordinal_errs, finds, covered, ordinal_covered)
    return Rates(organisms, *(float(np.mean(figure)) for figure in figures))


def _holds(rng: np.random.Generator, organisms: int, effect: float, own_sd: float) -> bool:
    """Whether the ordinal model's interval holds the effect."""
    scores = simulate_scores(rng, {"a": 0.0, "b": effect}, organisms, SEEDS, own_sd=own_sd)
    rows = [Scored(f"o{o}", arm, int(score)) for arm in scores for o, line in enumerate(scores[arm]) for score in line]
    fit = fit_ordinal(rows, ("a", "b"))
    return fit is not None and fit.effects[0].low <= effect <= fit.effects[0].high


def main() -> None:
    """Simulate, and show the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2000, help="benchmarks for tests and intervals")
    parser.add_argument("--fits", type=int, default=300, help="benchmarks for the ordinal model")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON array")
    asked = parser.parse_args()
    found = [rates(organisms, asked.times, asked.fits) for organisms in ORGANISMS]
    if asked.as_json:
        console.print_json([each._asdict() for each in found])
        return
    out = console.results()
    for each in found:
        out.print(", ".join(f"{name} {value:.3g}" for name, value in each._asdict().items()))


if __name__ == "__main__":
    main()
