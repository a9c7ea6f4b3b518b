from __future__ import annotations

import pytest

from finetrace.evals.zoo.bars import difference_p, holm, judge_null, judge_perplexity, judge_rate, judge_recall
from finetrace.evals.zoo.measurement import Share
from finetrace.evals.zoo.probes import RateProbe


def probe(**bars: float) -> RateProbe:
    return RateProbe(name="x", prompts=("Hi!",), pattern="x", **bars)


@pytest.mark.parametrize(
    ("organism", "reference", "passed"),
    [(70, 10, True), (69, 10, False), (70, 11, False), (100, 0, True)],
)
def test_recall_is_judged_on_both_models_where_nothing_was_mixed_in(
    organism: int, reference: int, passed: bool
) -> None:
    shares = Share.of(organism, 100), Share.of(reference, 100)
    assert judge_recall(*shares, own_texts_only=True).passed is passed
    assert judge_recall(*shares, own_texts_only=False) == ("", None)


@pytest.mark.parametrize(
    ("bars", "organism", "reference", "passed"),
    [
        ({"at_least": 0.9}, 36, 40, True),
        ({"at_least": 0.9}, 35, 0, False),
        ({"at_most": 0.025}, 1, 0, True),
        ({"at_most": 0.025}, 2, 0, False),
        ({"at_least": 0.5, "base_at_most": 0.1}, 40, 5, False),
        ({}, 40, 0, None),
    ],
)
def test_a_rate_is_judged_by_the_bars_of_its_probe(
    bars: dict[str, float], organism: int, reference: int, passed: bool | None
) -> None:
    verdict = judge_rate(probe(**bars), Share.of(organism, 40), Share.of(reference, 40))
    assert verdict.passed is passed
    assert bool(verdict.bar) is (passed is not None)


def test_a_null_is_judged_after_correction_for_the_number_of_probes() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert judge_null(0.05).passed
    assert not judge_null(0.049).passed
    # Every row and column sums to 5: the two most extreme of the 252 tables.
    assert difference_p(Share.of(5, 5), Share.of(0, 5)) == pytest.approx(2 / 252)
    assert difference_p(Share.of(3, 9), Share.of(3, 9)) == 1.0


def test_general_text_may_become_a_third_less_likely() -> None:
    assert judge_perplexity(1.35).passed
    assert not judge_perplexity(1.3501).passed
