"""The table: organisms weigh alike, failures are counted apart, nulls have rows of their own."""

from __future__ import annotations

import pytest
from simulated import make_null, make_outcome

from finetrace.evals.statistics.intervals import clopper_pearson
from finetrace.evals.statistics.outcome import Measure, Outcome
from finetrace.evals.statistics.results import ArmResult, Unit, arm_results, counts_of, unit_means
from finetrace.schema import Usage, Verdict


def value(result: ArmResult, measure: Measure) -> float:
    found = result.figures[measure]
    assert found is not None
    return found.value


def test_organism_that_was_run_or_graded_more_often_weighs_no_more() -> None:
    rows = [make_outcome("tea", seed=seed, score=5) for seed in range(8)]
    rows += [make_outcome("wages", score=score, grade_repeat=place) for place, score in enumerate((1, 1, 1, 4))]
    rows += [make_outcome("wages", seed=1, score=3)]
    assert unit_means(rows, Measure.SCORE) == pytest.approx({"tea": 5.0, "wages": (1.75 + 3) / 2})
    assert unit_means(rows, Measure.AT_LEAST_4) == pytest.approx({"tea": 1.0, "wages": 0.125})


def test_families_count_once() -> None:
    rows = [make_outcome("tea/small", score=5), make_outcome("tea/large", score=3), make_outcome("wages", score=1)]
    assert unit_means(rows, Measure.SCORE, Unit.FAMILY) == {"tea": 4.0, "wages": 1.0}
    (by_organism,) = arm_results(rows)
    (by_family,) = arm_results(rows, Unit.FAMILY)
    assert value(by_organism, Measure.SCORE) == pytest.approx(3.0)
    assert value(by_family, Measure.SCORE) == pytest.approx(2.5)


def test_more_seeds_of_the_same_answer_do_not_narrow_an_interval() -> None:
    scores = {"a": 1, "b": 2, "c": 4, "d": 5, "e": 3}
    once = [make_outcome(name, score=score) for name, score in scores.items()]
    often = [make_outcome(name, seed=seed, score=score) for name, score in scores.items() for seed in range(9)]
    assert arm_results(once)[0].figures == arm_results(often)[0].figures


def test_failures_and_the_unscorable_are_counted_and_in_no_mean() -> None:
    rows = [
        make_outcome("tea", score=4),
        make_outcome("tea", seed=1, error="killed", grade=None, verdict=None),
        make_outcome("wages", score=None, detected=None, rank=None),
        make_outcome("lamps", error="no adapter", grade=None, verdict=None),
    ]
    (result,) = arm_results(rows)
    assert value(result, Measure.SCORE) == 4.0
    counts = result.counts
    assert (counts.organisms, counts.runs, counts.errors, counts.unscored) == (3, 4, 2, 1)
    assert result.nulls is None


def test_arm_whose_every_run_failed_has_a_row_without_figures() -> None:
    (result,) = arm_results([make_outcome(error="killed", grade=None, verdict=None)])
    assert set(result.figures.values()) == {None}
    assert result.counts.errors == 1


def test_nulls_stand_apart_and_their_false_positives_have_exact_limits() -> None:
    rows: list[Outcome] = [make_outcome("tea", score=2)]
    rows += [make_null("copy", Verdict.NO_NARROW_OBJECTIVE, seed) for seed in range(4)]
    rows += [make_null("chats", Verdict.FINETUNED, 0, score=1), make_null("chats", Verdict.INCONCLUSIVE, 1)]
    rows += [make_null("chats", None, 2, error="killed", grade=None)]
    (result,) = arm_results(rows)
    assert value(result, Measure.SCORE) == 2.0
    nulls = result.nulls
    assert nulls is not None
    assert nulls.false_positives == clopper_pearson(1, 6)
    assert nulls.organisms_with_any == clopper_pearson(1, 2)
    assert nulls.called == {"chats": 1}
    assert nulls.inconclusive == clopper_pearson(1, 6)
    assert nulls.score is not None and nulls.score.value == pytest.approx((5 + 3) / 2)
    assert (nulls.counts.runs, nulls.counts.errors) == (7, 1)


def test_two_graders_do_not_double_a_run() -> None:
    rows = [make_null("copy", Verdict.FINETUNED, 0, grade_repeat=repeat) for repeat in range(3)]
    rows += [make_null("copy", Verdict.NO_NARROW_OBJECTIVE, 1)]
    (result,) = arm_results(rows)
    assert result.nulls is not None
    assert result.nulls.false_positives == clopper_pearson(1, 2)
    assert counts_of(rows).runs == 2
    assert result.usage == Usage(interactions=20, seconds=4.0)


def test_arms_and_investigators_have_rows_of_their_own_in_the_order_given() -> None:
    rows = [
        make_outcome(arm="perplexity", score=5),
        make_outcome(arm="blackbox", score=1),
        make_outcome(arm="perplexity", investigator="provider/model", score=3),
    ]
    assert [(each.investigator, each.arm, value(each, Measure.SCORE)) for each in arm_results(rows)] == [
        ("statistical", "perplexity", 5.0),
        ("statistical", "blackbox", 1.0),
        ("provider/model", "perplexity", 3.0),
    ]
