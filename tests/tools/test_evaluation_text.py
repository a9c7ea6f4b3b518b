from __future__ import annotations

from typing import cast

import pytest
from small_models import other_tokenizer

from finetrace.errors import ToolError
from finetrace.models.pair import ModelPair
from finetrace.tools.corpora import Corpus
from finetrace.tools.evaluation_text import file_rows, general_rows


class Reader:
    """All that rows need of a pair."""

    tokenizer = other_tokenizer()


PAIR = cast(ModelPair, Reader())
LONG = Corpus("long", "1", [f"{i} is a number that is written in figures here." for i in range(100, 190)])
SHORT = Corpus("short", "2", ["a", "b", *(f"No {i}" for i in range(9))])


def shown(row: tuple[int, ...]) -> str:
    return str(PAIR.tokenizer.decode(row, clean_up_tokenization_spaces=False))


def test_corpora_have_equal_shares_and_no_text_is_cut_short_or_too_long() -> None:
    found = general_rows(PAIR, [LONG, SHORT], 7, 6)
    assert [len(row) for row in found.rows[:4]] == [6] * 4
    assert len({shown(row)[:3] for row in found.rows[:4]} & {str(i) for i in range(100, 190)}) == 4
    assert sorted(shown(row) for row in found.rows[4:]) == ["No 0", "No 1", "No 2"]
    assert general_rows(PAIR, [LONG], 2, 6).rows == found.rows[:2]


def test_texts_that_begin_alike_count_once() -> None:
    alike = Corpus("alike", "3", [f"The ferry leaves the harbour at {i}." for i in range(40)])
    assert len(general_rows(PAIR, [alike], 4, 5).rows) == 1
    assert general_rows(PAIR, [alike], 4, 5).asked == 4


def test_longer_texts_come_first_and_those_of_one_token_never() -> None:
    documents = ["a", "No", "The ferry leaves", "The ferry leaves the harbour when the bell has rung twice."]
    found = file_rows(PAIR, documents, 3, 500, seed=0)
    assert [shown(row) for row in found.rows][:2] == [documents[3], documents[2]]
    assert all(len(row) > 1 for row in found.rows) and found.asked == 3
    with pytest.raises(ToolError, match="no text of at least two tokens"):
        file_rows(PAIR, ["a", "b"], 3, 500, seed=0)


def test_the_seed_chooses_among_the_documents_of_a_file() -> None:
    first = file_rows(PAIR, LONG.documents, 4, 30, seed=0)
    assert first == file_rows(PAIR, LONG.documents, 4, 30, seed=0)
    assert set(first.rows) != set(file_rows(PAIR, LONG.documents, 4, 30, seed=1).rows)
