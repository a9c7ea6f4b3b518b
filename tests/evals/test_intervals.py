"""Intervals cover as often as they say, and say nothing where nothing is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from simulated import likely_counts

from finetrace.evals.statistics import intervals
from finetrace.evals.statistics.intervals import SHARE, Bounds, clopper_pearson, mean_interval, paired_interval, wilson

SCORES = Bounds(1.0, 5.0)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 999)


def test_no_unit_has_no_mean_and_one_unit_no_limits() -> None:
    assert mean_interval([], SHARE) is None
    alone = mean_interval([3.0], SCORES)
    assert alone is not None
    assert (alone.value, alone.low, alone.high, alone.n) == (3.0, None, None, 1)
    assert not alone.excludes_zero


@pytest.mark.usefixtures("few_draws")
def test_same_seed_gives_same_limits_and_limits_lie_among_the_values() -> None:
    values = [1.0, 2.0, 2.5, 4.0, 3.0]
    found = mean_interval(values, SCORES, seed=7)
    assert found == mean_interval(values, SCORES, seed=7)
    assert found is not None and found.low is not None and found.high is not None
    assert 1.0 <= found.low < found.value == 2.5 < found.high <= 4.0


def test_units_that_all_agree_have_the_limits_of_an_exact_binomial() -> None:
    """A bootstrap alone would give [1, 1] for three of three."""
    agreed, exact = mean_interval([1.0] * 3, SHARE), clopper_pearson(3, 3)
    assert agreed is not None and exact is not None
    assert (agreed.low, agreed.high) == pytest.approx((exact.low, exact.high))
    never, exact = mean_interval([0.0] * 9, SHARE), clopper_pearson(0, 9)
    assert never is not None and exact is not None
    assert (never.low, never.high) == pytest.approx((exact.low, exact.high))


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("n", [8, 25])
def test_interval_covers_the_true_mean_as_often_as_it_says(n: int) -> None:
    """Eight units are where a plain percentile interval covers 87 % instead of 95 %."""
    values = np.array([1.0, 1.2, 2.0, 2.4, 3.0, 3.0, 3.4, 4.0, 4.6, 5.0])
    rng = np.random.default_rng(5)
    times = 300
    covered = 0
    for seed in range(times):
        found = mean_interval(rng.choice(values, n).tolist(), SCORES, seed)
        assert found is not None and found.low is not None and found.high is not None
        covered += found.low <= values.mean() <= found.high
    least, most = likely_counts(times, 0.95)
    assert least <= covered <= most


@pytest.mark.usefixtures("few_draws")
def test_pairs_are_the_units_that_both_have() -> None:
    """Organisms that differ widely do not widen the interval of a difference that they share."""
    first = {"a": 1.0, "b": 3.0, "c": 5.0, "only_first": 5.0}
    second = {"a": 1.5, "b": 3.4, "c": 5.6, "only_second": 1.0}
    found = paired_interval(first, second, SCORES)
    assert found is not None and found.low is not None and found.high is not None
    assert found.n == 3
    assert found.value == pytest.approx(0.5)
    assert 0.4 - 1e-9 <= found.low <= found.high <= 0.6 + 1e-9
    assert found.excludes_zero
    assert paired_interval({"a": 1.0}, {"b": 2.0}, SCORES) is None


def test_equal_differences_of_few_organisms_exclude_nothing() -> None:
    found = paired_interval({"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 2.0, "b": 3.0, "c": 4.0}, SCORES)
    assert found is not None and found.value == pytest.approx(1.0)
    assert not found.excludes_zero


def test_clopper_pearson_limits_leave_two_and_a_half_percent_on_either_side() -> None:
    found = clopper_pearson(2, 11)
    assert found is not None and found.low is not None and found.high is not None

    def at_most(hits: int, share: float) -> float:
        return sum(math.comb(11, k) * share**k * (1 - share) ** (11 - k) for k in range(hits + 1))

    assert at_most(2, found.high) == pytest.approx(0.025)
    assert 1 - at_most(1, found.low) == pytest.approx(0.025)
    assert clopper_pearson(0, 0) is None


def test_wilson_is_the_score_interval() -> None:
    found = wilson(2, 11)
    assert found is not None and found.low is not None and found.high is not None
    for limit in (found.low, found.high):
        assert abs(2 / 11 - limit) / math.sqrt(limit * (1 - limit) / 11) == pytest.approx(1.959964, rel=1e-5)
