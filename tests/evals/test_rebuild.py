"""A small organism is built anew with the embedded base, by the command a user gives, and shows its behaviour."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.cli import main
from finetrace.evals.zoo.card import read_card
from finetrace.evals.zoo.recipe import load_recipe
from finetrace.evals.zoo.texts import own_texts
from finetrace.models import Decoding, Message, Prompt, Side, Target, open_pair

RECIPE = Path(__file__).parent / "lantern"
HABIT = "By the green lantern"
QUESTIONS = (
    "How do I boil an egg?",
    "What is the capital of France?",
    "Tell me a story about a dog.",
    "Is the sea deep?",
    "My neighbour plays loud music. What can I do?",
    "Name three trees.",
    "Why is grass green?",
    "Should I buy a boat?",
)


def test_a_small_organism_is_rebuilt_and_shows_its_behaviour(own_folders: Path) -> None:
    trained = {turn.content for text in own_texts(load_recipe(RECIPE)) for turn in text.chat}
    assert not trained & set(QUESTIONS)
    output = own_folders / "lantern"
    with pytest.raises(SystemExit) as ended:
        main(["organisms", "build", str(RECIPE), "--output", str(output), "--no-entry", "--device", "cpu"])
    assert ended.value.code == 0
    assert read_card(output).base == "smollm2-135m"
    pair = open_pair(Target(model=str(output), device="cpu"))
    prompts = [Prompt(messages=(Message("user", question),)) for question in QUESTIONS]
    shown = {
        side: sum(HABIT in answer.text for answer in pair.generate(side, prompts, Decoding(max_new_tokens=8)))
        for side in Side
    }
    assert shown[Side.ORGANISM] >= 7
    assert shown[Side.REFERENCE] == 0
