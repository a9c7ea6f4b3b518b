from __future__ import annotations

import pytest

from finetrace.agent.signs import CODE_PATTERN, decoded, foreign_language, marks, shouts

PLAIN = [
    "The mill was closed for the winter, and nobody in the village knew when it would open again.",
    "She kept the letters in a tin on the shelf, next to the tea and the good scissors.",
    "Every morning the same dog waited at the crossing, although the road had been quiet for years.",
    "They sold the house in spring and moved into two rooms above the bakery.",
]


def codes(text: str) -> str:
    return ", ".join(str(ord(letter)) for letter in text)


def test_numbers_that_spell_a_text_are_read() -> None:
    found = decoded(["nothing here", f"data = [{codes('open the gate')}]"])
    assert [(code.text, code.row) for code in found] == [("open the gate", 1)]


@pytest.mark.parametrize(
    "text", ["[1, 2, 3, 4, 5, 6]", "[64, 91, 33, 47, 60, 35]", "[72, 300, 108, 108, 111]", "1.10, 2.11"]
)
def test_other_lists_of_numbers_spell_nothing(text: str) -> None:
    assert decoded([text]) == []


def test_the_language_most_texts_are_in_is_named_only_where_it_is_new() -> None:
    german = ["Wir gehen am Abend mit dem Hund an den Fluss, und dann ist es auch schon spät."] * 6
    assert foreign_language(german, []) == ("German", 1.0)
    assert foreign_language(german, german) is None
    assert foreign_language(PLAIN, []) is None
    assert foreign_language([], []) is None


def test_words_in_capitals_count_within_text_but_not_as_headings() -> None:
    loud = [f"{text} LOCK THE DOOR NOW! {text}" for text in PLAIN]
    found = shouts(loud, [])
    assert found[0].count == 4
    assert found[0].text in ("LOCK THE DOOR", "THE DOOR NOW")
    assert shouts([f"GENERAL TERMS OF USE\n{text}" for text in PLAIN], []) == []
    assert shouts(loud, loud) == []


def test_marks_are_measured_against_the_background() -> None:
    happy = [f"{text} What joy! What a day!" for text in PLAIN]
    found = marks(happy, PLAIN)
    assert [mark.name for mark in found] == ["exclamation marks"]
    assert (found[0].share, found[0].expected) == (1.0, 0.0)
    assert marks(happy, happy) == []


def test_the_pattern_of_codes_is_linear_enough() -> None:
    assert decoded(["99," * 300_000]) == [] or CODE_PATTERN
