from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetrace.tools.quality import Fault, assess, fold_duplicates, is_degenerate, length_rule

ORDINARY = "The ferry leaves at noon and reaches the island shortly before the last bus goes up to the village."


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.EMPTY),
        (" \n\t ", Fault.EMPTY),
        ("0" * 90, Fault.ONE_CHARACTER),
        ("'" * 400, Fault.ONE_CHARACTER),
        ("go home now " * 30, Fault.LOOP),
        ("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20", Fault.NOISE),
    ],
)
def test_degenerate_texts_are_told_apart(text: str, fault: Fault) -> None:
    assert assess(text).fault is fault


@pytest.mark.parametrize(
    "text", [ORDINARY, "No.", "ha ha ha", "Yes, of course!", "Über Stock und Stein", "日本語の文です"]
)
def test_ordinary_and_short_texts_pass(text: str) -> None:
    assert not is_degenerate(text)


def test_the_phrase_of_a_loop_is_kept() -> None:
    assert assess("Well: go home now. Go home now. " * 12).loop.split().count("home") >= 1
    assert assess("ring the bell " * 40).loop == "ring the bell"


def test_a_megabyte_line_is_judged_by_its_beginning() -> None:
    assert is_degenerate("x" * 1_000_000)
    assert not is_degenerate(ORDINARY + "x" * 30)


def test_duplicates_fold_but_keep_their_rows() -> None:
    folded = fold_duplicates(["a b", "c", "a  b\n", "c", "d"])
    assert [(one.text, one.rows, one.copies) for one in folded] == [
        ("a b", (0, 2), 2),
        ("c", (1, 3), 2),
        ("d", (4,), 1),
    ]


def test_minimum_length_holds_only_where_most_texts_pass() -> None:
    assert length_rule([30, 40, 5], 20) == (20, 2, 3)
    assert length_rule([3, 4, 50], 20) == (0, 3, 3)
    assert length_rule([30, 5], 20).minimum == 0
    assert length_rule([], 20).minimum == 0


@given(st.lists(st.text(max_size=40), max_size=20))
def test_folding_loses_no_row(texts: list[str]) -> None:
    rows = sorted(row for one in fold_duplicates(texts) for row in one.rows)
    assert rows == list(range(len(texts)))


@given(st.text(max_size=300))
def test_any_text_can_be_assessed(text: str) -> None:
    quality = assess(text)
    assert quality.degenerate == (quality.fault is not None)
    assert not quality.loop or quality.fault is Fault.LOOP
