from __future__ import annotations

import pytest
from pydantic import ValidationError

from finetrace.evals.zoo.measurement import Estimate, Measurement, MeasurementKind, Share, Strength


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        (0, 100, 0.0, 0.0362),  # 1 - 0.025 ** (1 / 100)
        (40, 40, 0.9119, 1.0),  # 0.025 ** (1 / 40)
        (8, 10, 0.4439, 0.9748),
    ],
)
def test_the_interval_is_the_exact_one(hits: int, total: int, low: float, high: float) -> None:
    share = Share.of(hits, total)
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-4)
    assert share.rate == hits / total


def test_a_figure_is_either_shares_or_a_value_and_a_bar_is_passed_or_missed() -> None:
    share, value = Share.of(3, 4), Estimate.of(1.0, 0.9, 1.1, 60)
    known = {"name": "x", "kind": MeasurementKind.RATE}
    assert Measurement(**known, organism=share, bar="at least 0.9", passed=False).passed is False
    for wrong in (
        {},
        {"organism": share, "value": value},
        {"organism": share, "bar": "at least 0.9"},
        {"value": value, "passed": True},
    ):
        with pytest.raises(ValidationError):
            Measurement(**known, **wrong)
    with pytest.raises(ValidationError):
        Share(hits=5, total=4, low=0, high=1)


def test_a_strength_comes_back_from_its_plain_form_and_knows_what_was_missed() -> None:
    passed = Measurement(name="a", kind="rate", organism=Share.of(40, 40), bar="at least 0.9", passed=True)
    missed = Measurement(name="b", kind="perplexity", value=Estimate.of(1.5, 1.4, 1.6, 9), bar="≤ 1.35", passed=False)
    strength = Strength(measurements=(passed, missed), seed=0, device="cpu", dtype="float32", versions={"torch": "2"})
    assert Strength.model_validate(strength.model_dump(mode="json")) == strength
    assert strength.missed == (missed,)
