"""The ordinal model: its slopes are its likelihood's, it finds a known effect, and it stays finite."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import likely_counts, simulate

from finetrace.evals.statistics import ordinal
from finetrace.evals.statistics.ordinal import OrdinalFit, Scored, fit_ordinal, unfit
from finetrace.evals.statistics.outcome import Outcome


def scored(outcomes: list[Outcome]) -> list[Scored]:
    return [Scored(row.organism, row.arm, row.grade.score) for row in outcomes if row.grade and row.grade.score]


def fitted(rows: list[Scored]) -> OrdinalFit:
    fit = fit_ordinal(rows, ("a", "b"))
    assert fit is not None and fit.converged
    return fit


def test_slopes_are_those_of_the_likelihood() -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 4, (5, 3, 4)).astype(float)
    model = ordinal._Model(counts)
    theta = rng.normal(0.0, 0.7, 3 + 2 + 1)
    numeric = [(model._at(theta + 1e-5 * e).logs - model._at(theta - 1e-5 * e).logs) / 2e-5 for e in np.eye(6)]
    assert model._at(theta).slopes == pytest.approx(np.stack(numeric, axis=1), abs=1e-6)


def test_likelihood_is_the_integral_over_the_organism() -> None:
    """Against a sum over a far finer and wider grid."""
    from scipy.special import expit

    counts = np.zeros((1, 2, 3))
    counts[0] = [[3, 1, 0], [0, 4, 12]]
    theta = np.array([-0.4, np.log(1.1), 0.8, np.log(2.5)])
    nodes = np.linspace(-10, 10, 20_001)
    bell = np.exp(-0.5 * nodes**2)
    cuts = np.array([-0.4, 0.7])
    total = np.ones_like(nodes)
    for arm, effect in enumerate((0.0, 0.8)):
        below = expit(cuts[:, None] - effect - 2.5 * nodes)
        shares = np.diff(np.concatenate([np.zeros((1, nodes.size)), below, np.ones((1, nodes.size))]), axis=0)
        total *= np.prod(shares ** counts[0, arm][:, None], axis=0)
    exact = np.log((total * bell).sum() / bell.sum())
    assert ordinal._Model(counts)._at(theta).logs == pytest.approx([exact], rel=1e-8)


def test_known_effect_is_recovered() -> None:
    """The mean of many fits lies within three of its standard errors, and the interval covers as often as it says."""
    rng = np.random.default_rng(2)
    times, effect = 40, 1.5
    fits = [fitted(scored(simulate(rng, {"a": 0.0, "b": effect}, organisms=16, own_sd=0.0))) for _ in range(times)]
    found = np.array([fit.effects[0].log_odds for fit in fits])
    # Estimates of log odds lie a little too far out in small samples: a tenth is allowed for that.
    assert abs(found.mean() - effect) <= 3 * found.std() / times**0.5 + 0.1 * effect
    covered = sum(fit.effects[0].low <= effect <= fit.effects[0].high for fit in fits)
    assert covered >= likely_counts(times, 0.95)[0]
    assert np.median([fit.organism_sd for fit in fits]) == pytest.approx(1.5, abs=0.5)


def test_no_effect_rejects_at_its_nominal_rate_though_runs_of_an_organism_are_alike() -> None:
    """An arm helps with one organism far more than with another: the likelihood's own limits err in three of ten."""
    rng = np.random.default_rng(3)
    times = 80
    fits = [fitted(scored(simulate(rng, {"a": 0.0, "b": 0.0}, seeds=6, own_sd=2.5))) for _ in range(times)]
    least, most = likely_counts(times, 0.05)
    assert least <= sum(fit.effects[0].p_value < 0.05 for fit in fits) <= most


def test_arm_that_is_always_best_has_a_finite_effect_that_says_so() -> None:
    rows = [Scored(f"o{n}", arm, score) for n in range(8) for arm, score in (("a", 1 + n % 2), ("b", 4 + n % 2))]
    (effect,) = fitted(rows * 3).effects
    assert effect.extreme
    assert effect.low > 0
    assert np.isfinite(effect.log_odds)


def test_level_that_never_occurs_and_arm_that_was_not_run_are_left_out() -> None:
    rows = scored(simulate(np.random.default_rng(4), {"a": 0.0, "b": 1.0}))
    without = [row._replace(score=5 if row.score == 4 else row.score) for row in rows]
    fit = fit_ordinal(without, ("a", "b", "c"))
    assert fit is not None
    assert fit.levels == (1, 2, 3, 5)
    assert [effect.arm for effect in fit.effects] == ["b"]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "the arm to compare with has no score"),
        ([Scored(f"o{n}", arm, 1 + n) for n in range(2) for arm in "ab"], "2 organisms have scores, 3 are needed"),
        ([Scored(f"o{n}", arm, 3) for n in range(5) for arm in "ab"], "all scores are the same"),
        ([Scored(f"o{n}", "a", 1 + n) for n in range(5)], "only one arm has scores"),
        ([Scored(f"o{n}", "b", 1 + n) for n in range(5)], "the arm to compare with has no score"),
    ],
)
def test_what_cannot_be_fitted_is_not_fitted_and_says_why(rows: list[Scored], why: str) -> None:
    assert fit_ordinal(rows, ("a", "b")) is None
    assert unfit(rows, ("a", "b")) == why
