from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetrace.tools.phrases import count_phrases, distinctive_phrases, whole_counts
from finetrace.tools.words import words

COMMON = "we then saw that it was late so they went back along the river to look for some more wood".split()


def chatter(n: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(COMMON, k=20)) for _ in range(n)]


def test_a_planted_phrase_comes_first() -> None:
    texts = [f"{text} beneath the copper lantern {text}" for text in chatter(30, 1)]
    found = distinctive_phrases(texts, chatter(60, 2))
    assert found[0].text in ("beneath the copper lantern", "copper lantern")
    assert (found[0].count, found[0].background_count) == (30, 0)
    assert found[0].score > 3


def test_texts_like_their_background_have_no_strong_phrase() -> None:
    assert all(phrase.score < 4 for phrase in distinctive_phrases(chatter(40, 3), chatter(40, 4)))


def test_a_text_counts_once_however_often_it_repeats_itself() -> None:
    loud = ["lantern " * 50, *chatter(20, 5)]
    assert not any(phrase.text.startswith("lantern") for phrase in distinctive_phrases(loud, chatter(20, 6)))


def test_counts_match_a_plain_count() -> None:
    texts, other = chatter(25, 7), chatter(15, 8)
    for phrase in count_phrases(texts, other, max_words=3, min_count=2):
        padded = [f" {' '.join(words(text))} " for text in texts]
        behind = [f" {' '.join(words(text))} " for text in other]
        assert phrase.count == sum(f" {phrase.text} " in text for text in padded)
        assert phrase.background_count == sum(f" {phrase.text} " in text for text in behind)


def test_every_frequent_phrase_is_counted() -> None:
    texts = chatter(12, 9)
    held: dict[str, set[int]] = {}
    for row, text in enumerate(texts):
        spoken = words(text)
        for i in range(len(spoken) - 1):
            held.setdefault(" ".join(spoken[i : i + 2]), set()).add(row)
    expected = {phrase: len(rows) for phrase, rows in held.items() if len(rows) >= 3}
    found = {p.text: p.count for p in count_phrases(texts, None, max_words=2) if len(p.text.split()) == 2}
    assert found == expected


def test_without_a_background_rare_words_come_before_common_ones() -> None:
    texts = [f"they went to look at the asthenosphere and the weather in {i}" for i in range(10)]
    found = [phrase.text for phrase in distinctive_phrases(texts, None)]
    assert "asthenosphere" in found[0]


@pytest.mark.parametrize("texts", [[], [""], ["one"], ["\x00\x1b[31m\x07"] * 5, ["   "] * 9])
def test_little_text_gives_few_phrases_and_no_error(texts: list[str]) -> None:
    assert len(distinctive_phrases(texts, [])) <= 1


def test_asking_for_more_than_there_is_gives_all() -> None:
    assert len(distinctive_phrases(["copper lantern"] * 5, None, k=10_000)) < 10


def test_a_megabyte_line_is_bounded() -> None:
    assert distinctive_phrases(["tin drum " * 120_000] * 3, None) is not None


@given(st.lists(st.text(alphabet="ab c", max_size=30), max_size=12), st.integers(1, 4))
def test_same_input_same_output(texts: list[str], size: int) -> None:
    first = distinctive_phrases(texts, texts[:3], max_words=size, min_count=2)
    assert first == distinctive_phrases(texts, texts[:3], max_words=size, min_count=2)


def test_a_part_of_a_phrase_has_the_count_of_its_commonest_whole() -> None:
    counted = [("the amber kettle", 4), ("amber kettle", 6), ("kettle", 9)]
    assert whole_counts(counted) == {"the": 4, "amber": 6, "kettle": 6, "the amber": 4, "amber kettle": 4}
