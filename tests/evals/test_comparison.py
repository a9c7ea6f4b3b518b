"""Simulated benchmarks: a known effect between arms is found, and none is found where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ranksums
from simulated import likely_counts, make_null, make_outcome, run_scores, simulate

from benchmarks.simulations import SCORES, means_of, simulate_scores
from finetrace.evals.statistics import intervals
from finetrace.evals.statistics.comparison import Comparison, compare_arms, ordinal_fits
from finetrace.evals.statistics.intervals import paired_differences, paired_interval
from finetrace.evals.statistics.outcome import Measure
from finetrace.evals.statistics.permutation import holm, paired_permutation
from finetrace.evals.statistics.results import unit_means
from finetrace.schema import Verdict

ONE = (Measure.SCORE,)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 399)


def limits(comparison: Comparison) -> tuple[float, float]:
    found = comparison.difference
    assert found is not None and found.low is not None and found.high is not None
    return found.low, found.high


@pytest.mark.usefixtures("few_draws")
def test_no_effect_rejects_at_its_nominal_rate() -> None:
    """Ten organisms of five seeds: both the test and the interval err in five of a hundred benchmarks.

    Nine hundred benchmarks tell that from ten in a hundred. Whoever took the fifty runs of an arm for independent would
    err far more often.
    """
    rng = np.random.default_rng(11)
    times = 900
    p_values, naive = [], []
    excluded = 0
    for seed in range(times):
        scores = simulate_scores(rng, {"a": 0.0, "b": 0.0}, organisms=10, seeds=5, organism_sd=0.5, own_sd=2.0)
        first, second = means_of(scores["a"]), means_of(scores["b"])
        p_values.append(paired_permutation(paired_differences(first, second), seed).p_value)
        found = paired_interval(first, second, SCORES, seed)
        assert found is not None
        excluded += found.excludes_zero
        naive.append(ranksums(scores["a"].ravel(), scores["b"].ravel()).pvalue)
    least, most = likely_counts(times, 0.05)
    assert least <= sum(p <= 0.05 for p in p_values) <= most
    assert least <= excluded <= most
    assert sum(p <= 0.10 for p in p_values) > most
    assert sum(p <= 0.05 for p in naive) > 2 * most


def test_a_benchmark_is_compared_by_the_means_of_its_organisms() -> None:
    outcomes = simulate(np.random.default_rng(15), {"a": 0.0, "b": 1.0}, organisms=9, seeds=4)
    first, second = (unit_means([row for row in outcomes if row.arm == arm], Measure.SCORE) for arm in "ab")
    (found,) = compare_arms(outcomes, ONE, seed=3)
    assert found.difference == paired_interval(first, second, SCORES, 3) and found.difference is not None
    assert found.difference.n == 9
    assert found.test.p_value == paired_permutation(paired_differences(first, second), 3).p_value


@pytest.mark.usefixtures("few_draws")
def test_known_effect_is_recovered() -> None:
    """The interval holds the true difference of mean scores as often as it says, and the test finds it."""
    rng = np.random.default_rng(12)
    effects = {"a": 0.0, "b": 2.0}
    many = simulate(rng, effects, organisms=2_000, seeds=1)
    truth = float(np.mean(run_scores(many, "b")) - np.mean(run_scores(many, "a")))
    times = 60
    covered = found = 0
    for seed in range(times):
        (comparison,) = compare_arms(simulate(rng, effects, organisms=12), ONE, seed=seed)
        low, high = limits(comparison)
        covered += low <= truth <= high
        found += comparison.test.p_value <= 0.05
    assert covered >= likely_counts(times, 0.95)[0]
    assert found >= likely_counts(times, 0.8)[0]


def test_pairs_of_arms_are_corrected_together_and_the_earlier_is_subtracted() -> None:
    rng = np.random.default_rng(13)
    outcomes = simulate(rng, {"blackbox": 0.0, "perplexity": 3.0, "full": 3.0}, organisms=10)
    found = compare_arms(outcomes, (Measure.SCORE, Measure.AT_LEAST_4))
    assert [(each.first, each.second) for each in found[:3]] == [
        ("blackbox", "perplexity"),
        ("blackbox", "full"),
        ("perplexity", "full"),
    ]
    assert [each.measure for each in found] == [Measure.SCORE] * 3 + [Measure.AT_LEAST_4] * 3
    gained, _, alike = found[:3]
    assert limits(gained)[0] > 0
    corrected = [each.test.adjusted for each in found[:3]]
    assert corrected == pytest.approx(holm([each.test.p_value for each in found[:3]]))
    assert alike.test.adjusted is not None and alike.test.adjusted > 0.05


def test_only_organisms_of_both_arms_count_and_nulls_never_do() -> None:
    outcomes = [make_outcome(name, "a", score=1) for name in ("tea", "wages", "lamps")]
    outcomes += [make_outcome(name, "b", score=score) for name, score in (("tea", 3), ("wages", 2), ("bells", 5))]
    outcomes += [make_outcome("lamps", "b", error="killed", grade=None)]
    outcomes += [make_null("copy", Verdict.FINETUNED, arm=arm) for arm in ("a", "b")]
    (found,) = compare_arms(outcomes, ONE)
    assert found.difference is not None
    assert (found.difference.value, found.difference.n, found.left_out) == (1.5, 2, 2)


def test_investigators_are_compared_apart_and_arms_without_a_shared_organism_have_no_difference() -> None:
    outcomes = [make_outcome("tea", "a"), make_outcome("tea", "b", investigator="provider/model")]
    assert compare_arms(outcomes, ONE) == ()
    (found,) = compare_arms([make_outcome("tea", "a"), make_outcome("wages", "b")], ONE)
    assert found.difference is None
    assert found.test.p_value == 1.0


def test_ordinal_model_is_fitted_for_each_investigator_that_has_two_arms() -> None:
    outcomes = simulate(np.random.default_rng(14), {"blackbox": 0.0, "full": 4.0}, own_sd=0.0)
    outcomes += [make_outcome(f"organism_{n:02}", "full", investigator="provider/model") for n in range(4)]
    outcomes += [make_null("copy", Verdict.FINETUNED, arm="full", score=1)]
    outcomes += [make_outcome("organism_00", "full", 99, error="killed", grade=None)]
    own, other = ordinal_fits(outcomes)
    assert (other.fit, other.why_not) == (None, "only one arm has scores")
    assert own.fit is not None and own.why_not is None
    assert (own.investigator, own.fit.baseline) == ("statistical", "blackbox")
    assert (own.fit.organisms, own.fit.scores) == (12, 72)
    (effect,) = own.fit.effects
    assert effect.arm == "full"
    assert effect.low > 0
