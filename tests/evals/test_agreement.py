from __future__ import annotations

import pytest

from finetrace.errors import FinetraceError
from finetrace.evals.agreement import agreement


def test_kappa_of_a_table_worked_by_hand() -> None:
    # Observed charge 1 + 1 = 2; expected: labels 1,2,3,5 against given 1,3,3,4, all 16 differences squared, over 4.
    expected = sum((a - b) ** 2 for a in (1, 2, 3, 5) for b in (1, 3, 3, 4)) / 4
    found = agreement([1, 2, 3, 5], [1, 3, 3, 4])
    assert found.quadratic_weighted_kappa == pytest.approx(1 - 2 / expected)
    assert (found.exact, found.within_one, found.mean_error) == (0.5, 1.0, 0.0)
    assert found.confusion[2] == {1: 0, 2: 0, 3: 1, 4: 0, 5: 0}


def test_the_same_grades_agree_and_opposite_ones_do_worse_than_chance() -> None:
    assert agreement([1, 3, 5], [1, 3, 5]).quadratic_weighted_kappa == 1.0
    assert agreement([1, 3, 5], [5, 3, 1]).quadratic_weighted_kappa == pytest.approx(-1.0)


def test_nothing_to_agree_on_is_none_and_not_zero() -> None:
    assert agreement([], []).exact is None
    assert agreement([3, 3], [3, 3]).quadratic_weighted_kappa is None


@pytest.mark.parametrize(("labels", "given"), [([1], [1, 2]), ([0], [1]), ([1], [6])])
def test_what_is_no_grade_is_refused(labels: list[int], given: list[int]) -> None:
    with pytest.raises(FinetraceError):
        agreement(labels, given)
