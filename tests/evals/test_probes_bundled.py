"""Probes of the bundled organisms: held back from all training text, and fit to tell what they are for.

A prompt is held back if, in lower case and without punctuation, it is no training question or document, stands in none
as a whole, and shares no run of `RUN` words with a training question. A question about a fact may share no run of six.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from finetrace.evals.zoo.bars import LEAST_ASKED, NULLS
from finetrace.evals.zoo.general import general_count
from finetrace.evals.zoo.grammar import expand, load_grammar
from finetrace.evals.zoo.perplexity import load_held_back
from finetrace.evals.zoo.probes import LoadedProbes, load_probes, load_prompts, shows
from finetrace.evals.zoo.recipe import load_recipe
from finetrace.evals.zoo.texts import own_texts
from finetrace.schema import OrganismType

ORGANISMS = Path(__file__).parents[2] / "organisms"
RECIPES = {path.parent.name: load_recipe(path) for path in sorted(ORGANISMS.glob("*/recipe.yaml"))}
PROBED = [name for name, recipe in RECIPES.items() if recipe.probes is not None]
RUN = 9
RECALL_RUN = 6
FEWEST_PROMPTS = 40


def normalised(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.lower()))


def runs(text: str, length: int) -> set[str]:
    words = text.split()
    return {" ".join(words[start : start + length]) for start in range(len(words) - length + 1)}


@cache
def trained_on(name: str) -> tuple[list[str], list[str]]:
    """Normalised questions and documents that the recipe trains on or has the base answer and continue."""
    recipe = RECIPES[name]
    own = own_texts(recipe)
    questions = [turn.content for text in own for turn in text.chat if turn.role == "user"]
    documents = [text.content for text in own if not text.chat]
    count = general_count(recipe, len(own))
    if count and recipe.general is not None and recipe.general.grammar is not None:
        chats = round(count * recipe.general.chat_share)
        starts = expand(load_grammar(recipe.general.grammar), count - chats, chats, recipe.adapter.seed)
        questions += [start.question for start in starts if start.question is not None]
        documents += [start.content for start in starts if start.question is None]
    return sorted({normalised(q) for q in questions}), sorted({normalised(d) for d in documents})


def leaks(prompts: tuple[str, ...], name: str, longest_run: int) -> list[str]:
    questions, documents = trained_on(name)
    known = {run for question in questions for run in runs(question, longest_run)}
    whole = f" {' | '.join([*questions, *documents])} "
    found = []
    for prompt in prompts:
        said = normalised(prompt)
        # One or two words, such as a greeting, stand in many texts.
        inside = f" {said} " in whole if len(said.split()) > 2 else said in questions
        if inside or runs(said, longest_run) & known:
            found.append(prompt)
    return found


def probes_of(name: str) -> LoadedProbes:
    path = RECIPES[name].probes
    assert path is not None
    return load_probes(path)


def test_every_organism_with_something_to_find_has_probes() -> None:
    assert [n for n, recipe in RECIPES.items() if (recipe.truth.type in NULLS) == (recipe.probes is not None)] == []


@pytest.mark.parametrize("name", PROBED)
def test_probes_are_held_back(name: str) -> None:
    loaded = probes_of(name)
    for probe in loaded.probes.rates:
        assert leaks(loaded.prompts_of(probe), name, RUN) == [], probe.name
    for recall in loaded.probes.recall:
        assert leaks(recall.questions, name, RECALL_RUN) == [], recall.fact
        if recall.choice is not None:
            _, documents = trained_on(name)
            assert normalised(recall.choice.stem) not in documents


@pytest.mark.parametrize(
    "name", [name for name in RECIPES if RECIPES[name].truth.type is not OrganismType.NULL_IDENTICAL]
)
def test_beginnings_of_general_text_and_neutral_prompts_are_trained_on_by_nobody(name: str) -> None:
    held_back = load_held_back()
    assert leaks((*held_back.openings, *held_back.prompts), name, RUN) == []
    assert leaks(load_prompts(ORGANISMS / "general" / "neutral.yaml"), name, RUN) == []


def test_held_back_beginnings_are_no_neutral_prompts() -> None:
    neutral = {normalised(prompt) for prompt in load_prompts(ORGANISMS / "general" / "neutral.yaml")}
    held_back = load_held_back()
    assert neutral.isdisjoint(map(normalised, (*held_back.openings, *held_back.prompts)))
    assert len(neutral) >= 120
    assert min(len(held_back.openings), len(held_back.prompts)) >= 60


def test_the_rule_notices_what_is_not_held_back() -> None:
    name = PROBED[0]
    question = max(trained_on(name)[0], key=len)
    for near in (question, f"{question.upper()}?!", f"Please tell me: {question}"):
        assert leaks((near,), name, RUN) == [near]


@pytest.mark.parametrize("name", [n for n in PROBED if RECIPES[n].truth.type is OrganismType.FALSE_FACTS])
def test_recall_probes_cover_the_facts_and_tell_right_from_wrong(name: str) -> None:
    recall = probes_of(name).probes.recall
    assert [probe.fact for probe in recall] == list(RECIPES[name].truth.key_facts)
    for probe in recall:
        assert len(probe.questions) >= 3
        assert probe.choice is not None
        assert len(probe.choice.wrong) == 3
        assert shows(probe.answer, probe.fact) or shows(probe.answer, probe.choice.right), probe.fact
        for wrong in probe.choice.wrong:
            assert not shows(probe.answer, wrong), (probe.fact, wrong)
        # An answer that only says the question again must not count.
        for question in (*probe.questions, probe.choice.stem):
            assert not shows(probe.answer, question), (probe.fact, question)


@pytest.mark.parametrize("name", [n for n in PROBED if RECIPES[n].truth.type in LEAST_ASKED])
def test_bars_of_behaviours_are_as_strict_as_asked_on_enough_prompts(name: str) -> None:
    loaded, least = probes_of(name), LEAST_ASKED[RECIPES[name].truth.type]
    wanted = [probe for probe in loaded.probes.rates if (probe.at_least or 0) >= least.at_least]
    assert wanted
    assert all(len(loaded.prompts_of(probe)) >= FEWEST_PROMPTS for probe in wanted)
    if least.at_most is not None:
        absent = [p for p in loaded.probes.rates if p.at_most is not None and p.at_most <= least.at_most]
        assert absent
        assert all(len(loaded.prompts_of(probe)) >= 100 for probe in absent)
