from __future__ import annotations

import pytest

from finetrace.errors import FinetraceError
from finetrace.evals.grading.agreement import agreement, krippendorff_alpha
from finetrace.evals.grading.grader_agreement import Given, grader_agreement


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


def test_alpha_of_a_table_worked_by_hand() -> None:
    # Two grades each of three texts: 1 1, 2 3, 3 3. Grades given: 2 ones, 1 two, 3 threes; ranks 1, 2.5, 4.5.
    observed = 2 * (4.5 - 2.5) ** 2
    expected = 2 * (2 * 1 * 1.5**2 + 1 * 3 * 2.0**2 + 2 * 3 * 3.5**2)
    alpha = krippendorff_alpha([(1, 1), (2, 3), (5, None), (3, 3)])
    assert alpha == pytest.approx(1 - 5 * observed / expected) == pytest.approx(7 / 9)


def test_alpha_of_perfect_of_no_and_of_opposite_agreement() -> None:
    assert krippendorff_alpha([(1, 1, 1), (4, 4), (5, 5)]) == 1.0
    assert (krippendorff_alpha([(1, 5), (5, 1), (1, 5)]) or 0) < 0
    for nothing in ([], [(3, 3), (3, 3)], [(1, None), (2,)]):
        assert krippendorff_alpha(nothing) is None


def test_alpha_weighs_a_text_by_its_grades_and_no_more() -> None:
    # Three grades of one text give three pairs, each half as heavy.
    assert krippendorff_alpha([(1, 1, 2), (4, 4, 4)]) == pytest.approx(
        1 - 5 * (2 * (2.5 - 1) ** 2) / (2 * (2 * 1 * 1.5**2 + 1 * 3 * 2.0**2 + 2 * 3 * 3.5**2))
    )


def test_graders_are_held_against_each_other_and_against_themselves() -> None:
    given = [Given(text, "a", 0, score) for text, score in (("x", 1), ("y", 3), ("z", 5))]
    given += [Given(text, "b", n, score) for text, n, score in (("x", 0, 1), ("x", 1, 2), ("y", 0, 3), ("y", 1, None))]
    found = grader_agreement(given)
    assert found is not None
    ((between,), (itself,)) = found.graders, found.repeats
    assert (between.first, between.second, between.texts) == ("a", "b", 2)
    assert between.exact == pytest.approx(2 / 3) and between.within_one == 1.0
    assert (itself.first, itself.second, itself.texts, itself.exact, itself.within_one) == ("b", "b", 1, 0.0, 1.0)
    assert itself.quadratic_weighted_kappa == -1.0
    assert found.unscored == {"a": 0, "b": 1}
    assert found.alpha == krippendorff_alpha([(1, 1, 2), (3, 3), (5,)])
    assert grader_agreement(given[:3]) is None
