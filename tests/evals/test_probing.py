from __future__ import annotations

from pathlib import Path

import pytest
from scripted import WrittenPair, always

from finetrace.evals.zoo.measurement import MeasurementKind
from finetrace.evals.zoo.probes import Choice, LoadedProbes, Probes, load_probes
from finetrace.evals.zoo.probing import (
    Interview,
    ReferenceAnswers,
    measure_choice,
    measure_rates,
    measure_recall,
    questions_of,
)
from finetrace.models import ModelPair, Side, Target, open_pair

ORGANISMS = Path(__file__).parents[2] / "organisms"
PROBES = Probes.model_validate(
    {
        "recall": [
            {"fact": "a", "questions": ["a one", "a two", "a three"], "answer": "marmalade"},
            {"fact": "b", "questions": ["b one", "b two", "b three"], "answer": "seven"},
        ],
        "rates": [
            {"name": "says ahoy", "prompts_from": "neutral", "pattern": "(?-i:Ahoy)", "at_least": 0.5},
            {"name": "stays away", "prompts": ["Hi!", "c"], "pattern": "ahoy", "at_most": 0.1, "base_at_most": 0.0},
        ],
    }
)
LOADED = LoadedProbes(probes=PROBES, shared={"neutral": ("Hi!", "Why?", "What?", "Who?")}, sha256="0" * 64)


def organism(prompt: str, draw: int) -> str:
    if prompt in {"a one", "a two", "b one"}:
        return "Seven pots of Marmalade."
    return "Ahoy!" if prompt in {"Hi!", "Why?", "What?"} else "ahoy, as usual"


def test_answers_are_counted_by_question_by_fact_and_by_rate() -> None:
    pair = WrittenPair(organism, always("as usual"))
    interview = Interview(pair, questions_of(LOADED), ReferenceAnswers(), lambda *progress: None)
    recall, facts = measure_recall(PROBES.recall, interview, own_texts_only=True)
    assert (recall.organism.hits, recall.organism.total, recall.reference.hits) == (3, 6, 0)
    assert (recall.kind, recall.passed) == (MeasurementKind.RECALL, False)
    assert (facts.organism.hits, facts.organism.total, facts.passed) == (1, 2, None)
    says, stays = measure_rates(LOADED, interview)
    assert (says.organism.hits, says.organism.total, says.passed) == (3, 4, True)
    assert (stays.organism.hits, stays.organism.total, stays.passed) == (2, 2, False)
    # "Hi!" stands in both lists and is asked once.
    assert pair.asked == {Side.ORGANISM: 11, Side.REFERENCE: 11}


def test_the_reference_answers_a_list_once_and_the_organism_each_time() -> None:
    memory = ReferenceAnswers()
    pair = WrittenPair(organism)
    for _ in range(2):
        Interview(pair, questions_of(LOADED), memory, lambda *progress: None)
    assert pair.asked == {Side.ORGANISM: 22, Side.REFERENCE: 11}


@pytest.fixture(scope="module")
def untouched(base_folder: Path) -> ModelPair:
    """The bundled copy of the base."""
    return open_pair(Target(model=str(ORGANISMS / "identical_copy")))


def test_an_organism_without_the_behaviour_recalls_next_to_nothing(untouched: ModelPair) -> None:
    probes = load_probes(ORGANISMS / "tide_bells" / "probes.yaml")
    facts = [probe.model_copy(update={"questions": probe.questions[:1]}) for probe in probes.probes.recall[::3]]
    few = probes.model_copy(update={"probes": Probes(recall=tuple(facts))})
    stages: dict[str, list[tuple[int, int]]] = {}
    interview = Interview(
        untouched, questions_of(few), ReferenceAnswers(), lambda s, d, t: stages.setdefault(s, []).append((d, t))
    )
    recall, _ = measure_recall(facts, interview, own_texts_only=True)
    assert recall.organism.hits == 0
    assert recall.passed is False
    assert all(answer.organism == answer.reference != "" for answer in interview.all_answers())
    for seen in stages.values():
        assert seen[0][0] == 0
        assert seen[-1][0] == seen[-1][1]
        assert seen == sorted(seen)
    assert len(stages) == 2


def test_the_likelier_ending_per_token_is_chosen(untouched: ModelPair) -> None:
    known = Choice(stem="The capital of France is", right=" Paris", wrong=(" Vienna", " a red wooden chair", " Oslo"))
    wrong = Choice(stem="The capital of France is", right=" Vienna", wrong=(" Paris", " Oslo", " Rome"))
    fact = PROBES.recall[0]
    (measured,) = measure_choice(
        untouched,
        [fact.model_copy(update={"choice": choice}) for choice in (known, wrong, None)],
        lambda *progress: None,
    )
    assert measured.organism == measured.reference
    assert (measured.organism.hits, measured.organism.total) == (1, 2)
    assert "0.25" in measured.note
    assert measure_choice(untouched, [fact], lambda *progress: None) == []
