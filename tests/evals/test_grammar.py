from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.errors import FinetraceError
from finetrace.evals.zoo.grammar import Grammar, expand, expand_file, load_grammar

ANIMALS = Grammar.model_validate(
    {
        "documents": ["{^animal} and {animal}, near {place}.", "{^animal#1} is {animal#1}."],
        "dialogues": [{"user": "What eats a {pair#1.who}?", "assistant": "It eats {pair#1.food} near {place}."}],
        "slots": {
            "animal": ["cat", "dog", "owl", "a {size} hen"],
            "size": ["small", "big"],
            "place": ["here", "there", "home"],
            "pair": [{"who": "cow", "food": "grass"}, {"who": "fox", "food": "{animal}"}],
        },
    }
)


def test_texts_are_distinct_and_the_same_for_a_seed() -> None:
    texts = expand(ANIMALS, 12, 5, seed=3)
    assert len(texts) == len(set(texts)) == 17
    assert texts == expand(ANIMALS, 12, 5, seed=3)
    assert texts != expand(ANIMALS, 12, 5, seed=4)
    assert [text.question is None for text in texts] == [True] * 12 + [False] * 5


def test_a_numbered_slot_is_drawn_once_per_text_and_keeps_its_fields_together() -> None:
    for text in expand(ANIMALS, 10, 6, seed=1):
        if text.question is None and " is " in text.content:
            left, right = text.content.removesuffix(".").split(" is ")
            assert left.lower() == right.lower()
        if text.question == "What eats a cow?":
            assert text.content.startswith("It eats grass near ")


def test_no_slot_is_left_in_a_text_and_capitals_come_first() -> None:
    for text in expand(ANIMALS, 12, 5, seed=0):
        assert "{" not in text.content
        assert text.content[0].isupper()


def test_alternatives_are_used_equally_often() -> None:
    grammar = Grammar.model_validate({"documents": ["{n}{n}"], "slots": {"n": list("abcdefgh")}})
    letters = "".join(text.content for text in expand(grammar, 20, 0, seed=5))
    counts = [letters.count(letter) for letter in "abcdefgh"]
    assert max(counts) - min(counts) <= 2


def test_too_many_texts_are_refused() -> None:
    with pytest.raises(FinetraceError, match="makes 2 distinct texts"):
        expand(Grammar.model_validate({"documents": ["{n}"], "slots": {"n": ["x", "y"]}}), 3, 0, seed=0)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{anmal}", "no slot 'anmal'"),
        ("{loop}", "circle"),
        ("{pair}", "does not fit"),
        ("{animal.food}", "no fields"),
    ],
)
def test_faulty_slots_are_named(template: str, message: str) -> None:
    slots = {"animal": ["cat"], "loop": ["{loop}"], "pair": [{"food": "hay"}]}
    with pytest.raises(FinetraceError) as caught:
        expand(Grammar.model_validate({"documents": [template], "slots": slots}), 1, 0, seed=0)
    assert message in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("text", ["documents: [", "colour: red", "documents: 3"])
def test_a_faulty_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "data.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FinetraceError, match=r"data\.yaml"):
        load_grammar(path)
    with pytest.raises(FinetraceError, match="missing"):
        load_grammar(tmp_path / "missing.yaml")
    path.write_bytes(b"documents: [\xff]")
    with pytest.raises(FinetraceError, match="cannot read the grammar"):
        load_grammar(path)


def test_what_is_wrong_with_a_grammar_in_a_file_is_said_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("documents: ['{n}']\nslots: {n: [x, y]}\n", encoding="utf-8")
    assert {text.content for text in expand_file(path, 2, 0, seed=0)} == {"x", "y"}
    with pytest.raises(FinetraceError, match=r"data\.yaml: the grammar makes 2"):
        expand_file(path, 3, 0, seed=0)
