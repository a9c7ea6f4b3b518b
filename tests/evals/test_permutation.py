"""The test between arms is exact for few organisms, and corrected for many."""

from __future__ import annotations

from itertools import product

import pytest

from finetrace.evals.statistics.permutation import DRAWS, adjust, holm, paired_permutation


def enumerated(differences: list[float]) -> float:
    """The two-sided p by trying every pattern of signs by hand."""
    seen = abs(sum(differences))
    patterns = list(product((-1, 1), repeat=len(differences)))
    means = [abs(sum(sign * d for sign, d in zip(signs, differences, strict=True))) for signs in patterns]
    return sum(mean >= seen - 1e-9 for mean in means) / len(patterns)


@pytest.mark.parametrize(
    "differences",
    [
        [0.4, 1.0, -0.2, 0.6, 0.8],
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        [1 / 3, -1 / 3, 2 / 3, 1.0, 0.0, 0.0, 4 / 3],
        [-0.2, -0.4, 0.6, -1.2, -0.8, -0.2, -3.0, -0.6],
        [0.5, -0.5],
    ],
)
def test_few_organisms_are_tested_exactly(differences: list[float]) -> None:
    found = paired_permutation(differences)
    assert found.exact
    assert found.p_value == pytest.approx(enumerated(differences))


def test_organisms_that_do_not_differ_say_nothing() -> None:
    few, more = paired_permutation([1.0, 0.5, 0.25]), paired_permutation([1.0, 0.5, 0.25] + [0.0] * 40)
    assert few.p_value == more.p_value == 0.25
    assert (more.n, more.untied) == (43, 3)
    assert more.exact


def test_too_few_organisms_say_so() -> None:
    five, six = paired_permutation([1.0] * 5), paired_permutation([1.0] * 6)
    assert (five.p_value, five.smallest, five.can_reject) == (0.0625, 0.0625, False)
    assert (six.p_value, six.smallest, six.can_reject) == (0.03125, 0.03125, True)
    for differences in ([], [1.0], [0.0, 0.0]):
        nothing = paired_permutation(differences)
        assert (nothing.p_value, nothing.can_reject) == (1.0, False)


def test_many_organisms_are_sampled_and_p_is_never_zero() -> None:
    found = paired_permutation([1.0 + 0.01 * i for i in range(30)])
    assert not found.exact
    assert found.p_value == pytest.approx(2 / (DRAWS + 1))
    assert found == paired_permutation([1.0 + 0.01 * i for i in range(30)])


def test_holm_steps_down_and_never_turns_the_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    tests = [paired_permutation([1.0] * n) for n in (6, 8)]
    assert [test.adjusted for test in adjust(tests)] == pytest.approx([0.03125, 2 * 2 / 2**8])
