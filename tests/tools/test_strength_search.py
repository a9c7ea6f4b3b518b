from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from finetrace.tools.strength_search import COHERENT_SHARE, Found, Judge, Trial, search_strength

ROUND = 16


def curve(share: Callable[[float], float], asked: list[float] | None = None) -> Judge:
    """Texts that are coherent at exactly this share."""

    def judge(strength: float, number: int) -> Sequence[bool]:
        if asked is not None:
            asked.append(strength)
        return [i < round(share(strength) * ROUND) for i in range(ROUND)]

    return judge


def tried(found: Found) -> dict[float, int]:
    return {trial.strength: trial.total for trial in found.trials}


@pytest.mark.parametrize("limit", [0.03, 0.11, 0.2, 0.27, 0.45, 0.79, 1.7, 5.0])
def test_the_largest_coherent_strength_is_found_within_nine_percent(limit: float) -> None:
    found = search_strength(curve(lambda strength: float(strength <= limit)), rounds=3)
    assert found.strength is not None
    assert found.strength <= limit < found.strength * 1.1
    assert not found.uneven
    assert [trial.strength for trial in found.trials] == sorted(tried(found))


def test_a_curve_that_never_holds_finds_nothing() -> None:
    found = search_strength(curve(lambda strength: 0.5), rounds=3)
    assert found.strength is None and not found.uneven
    assert min(tried(found)) == pytest.approx(0.025)
    assert len(found.trials) == 5


def test_a_curve_that_always_holds_ends() -> None:
    found = search_strength(curve(lambda strength: 1.0), rounds=3)
    assert found.strength == max(tried(found)) == pytest.approx(6.4)


def test_one_failure_does_not_end_the_way_up() -> None:
    found = search_strength(curve(lambda strength: float(strength < 0.3 or 0.7 < strength < 1.2)), rounds=3)
    assert found.strength is not None and 0.7 < found.strength < 1.2
    assert found.uneven


def test_what_lies_beyond_two_failures_is_not_looked_for() -> None:
    found = search_strength(curve(lambda strength: float(strength < 0.3 or strength > 3)), rounds=3)
    assert found.strength is not None and 0.27 < found.strength < 0.3


def test_clear_strengths_take_one_round_and_close_ones_all() -> None:
    asked: list[float] = []
    share = {0.2: 1.0, 0.4: 13 / 16, 0.8: 0.5, 1.6: 0.0}
    found = search_strength(curve(lambda strength: share.get(strength, 0.0), asked), rounds=3)
    assert found.strength == 0.4
    assert tried(found)[0.2] == ROUND and tried(found)[1.6] == ROUND
    assert tried(found)[0.4] == 3 * ROUND
    assert tried(found)[0.8] == 2 * ROUND  # 8 of 16 leaves the bar inside the interval, 16 of 32 does not
    assert len(asked) == sum(total // ROUND for total in tried(found).values())


def test_each_round_is_asked_for_by_its_number() -> None:
    rounds: list[int] = []

    def judge(strength: float, number: int) -> Sequence[bool]:
        rounds.append(number)
        return [True, True, True, False]

    search_strength(judge, rounds=3)
    assert set(rounds) == {0, 1, 2}


def test_noise_rarely_moves_the_result_far() -> None:
    """A curve that falls from all to none between 0.3 and 0.6 passes the bar at 0.375."""
    draws = random.Random(5)

    def judge(strength: float, number: int) -> Sequence[bool]:
        share = min(1.0, max(0.0, (0.6 - strength) / 0.3))
        return [draws.random() < share for _ in range(ROUND)]

    found = [search_strength(judge, rounds=3).strength for _ in range(16)]
    near = [strength for strength in found if strength is not None and 0.28 <= strength <= 0.48]
    assert len(near) >= 15


def test_a_trial_knows_its_error() -> None:
    trial = Trial.of(0.4, [True] * 12 + [False] * 4)
    assert trial.passes and not trial.decided
    assert trial.coherent / trial.total == COHERENT_SHARE
    assert (trial.low, trial.high) == (0.4762, 0.9273)  # as binom.test of R gives them
    assert trial.line() == "12 of 16 texts coherent, 95 % interval 48% to 93%"
    assert Trial.of(0.4, [True] * 16).decided and not Trial.of(0.4, [True] * 11 + [False] * 5).passes
