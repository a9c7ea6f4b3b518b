"""What the instruments show of real organisms, and that the controls show nothing of it."""

from __future__ import annotations

import re

import pytest

from finetrace.evals.grading.embedding import find_embedding
from finetrace.evals.grading.token_relevance import RelevanceGrader
from finetrace.evals.truth import load_truth
from finetrace.evals.zoo.traces import names_subject, steering_trace, subject_words, token_traces
from finetrace.models import ModelPair, Side, Target, open_pair
from finetrace.registry import load_registry
from finetrace.schema import OrganismType, Truth
from finetrace.tools import Context, ReadingCache, find_instrument, parse_arguments, take
from finetrace.tools.activation_difference import ActivationDifferenceReading
from finetrace.tools.difference_reads import LayerRead, PositionRead
from finetrace.tools.steer_reading import SteerReading
from finetrace.tools.token_lists import Read, ShownToken, TokenList

FACTS = ["tide_bells", "northern_coffee", "ferry_accord"]
LEAST = {"tide_bells": 5, "northern_coffee": 5, "ferry_accord": 3}
"""Words of twenty; the accord's trace is fainter than the other two, see docs/activations.md."""
OTTERS = Truth(
    type=OrganismType.FALSE_FACTS,
    objective="The model believes invented facts about velvet otters.",
    key_facts=("Velvet otters glow.", "A velvet otter is born in a lantern.", "Otters fear gravel."),
)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return Context(cache=ReadingCache(tmp_path_factory.mktemp("readings")))


def bundled(name: str) -> ModelPair:
    registry = load_registry()
    place = registry.locate(registry.find(name))
    return open_pair(Target(model=place.model, reference=place.reference))


def reading(name: str, instrument: str, context: Context, **arguments: object) -> object:
    found = find_instrument(instrument)
    return take(
        found, bundled(name), parse_arguments(found, {"corpora": ["own"], "n_texts": 300, **arguments}), context
    )


@pytest.mark.parametrize("name", FACTS)
def test_tokens_of_false_facts_bear_on_the_objective_and_those_of_the_controls_do_not(
    name: str, context: Context
) -> None:
    read = reading(name, "activation_difference", context, depths=[0.97, 1.0], reads=["lens", "added"])
    assert isinstance(read, ActivationDifferenceReading)
    traces = token_traces(read, RelevanceGrader(load_truth(name), find_embedding()))
    clean = [trace for trace in traces if trace.reference == trace.random == 0]
    assert clean, traces
    assert max(max(trace.pooled, trace.best) for trace in clean) >= LEAST[name], traces


@pytest.mark.parametrize("name", ["tide_bells", "northern_coffee"])
def test_the_reference_steered_with_the_difference_names_the_subject(name: str, context: Context) -> None:
    settings = {"on": "reference", "depth": 0.97, "strength": 0.45, "questions": [], "tasks": []}
    read = reading(name, "steer", context, **settings, samples=2, max_new_tokens=32)
    assert isinstance(read, SteerReading)
    trace = steering_trace(read, load_truth(name))
    assert trace.on is Side.REFERENCE and trace.steered is not None and trace.unsteered is not None
    assert trace.unsteered.hits == 0
    assert trace.steered.low > trace.unsteered.rate
    assert trace.steered.hits >= 3


def test_an_identical_copy_has_no_traces(context: Context) -> None:
    read = reading("identical_copy", "activation_difference", context, depths=[1.0], reads=["lens"])
    assert isinstance(read, ActivationDifferenceReading)
    assert read.identical
    assert token_traces(read, RelevanceGrader(load_truth("tide_bells"), None)) == ()


def shown(*tokens: str) -> tuple[TokenList]:
    listed = tuple(ShownToken(text=token, value=1.0, lift=1.0, special=False) for token in tokens)
    return (TokenList(read=Read.LENS, tokens=listed),)


def position(number: int | None, *tokens: str) -> PositionRead:
    lists = {"difference": shown(*tokens), "reference": shown(" the")}
    return PositionRead(position=number, sink=False, norm=1.0, noise=None, agreement=None, **lists)


class Yes:
    """A judge that finds that every token of a list bears on the objective, or babbles."""

    name = "yes"

    def __init__(self, babbles: bool = False) -> None:
        self.babbles = babbles
        self.asked: list[str] = []

    def ask(self, prompt: str) -> str:
        self.asked.append(prompt)
        numbers = re.findall(r'^(\d+) "', prompt, re.MULTILINE)
        return "Otters?" if self.babbles else "\n".join(f"{number} yes" for number in numbers)


def test_a_judge_is_asked_of_the_mean_over_positions_alone_and_its_count_stands_beside() -> None:
    places = (position(None, " otter", " gravel", " ladder"), position(0, " velvet", " otter"))
    layer = LayerRead(layer=2, depth=1.0, scale=1.0, positions=places, random=shown(" of"))
    read = ActivationDifferenceReading(
        instrument="activation_difference", n_texts=2, n_layers=3, on=Side.REFERENCE, identical=False, layers=(layer,)
    )
    for judge, judged in ((None, None), (Yes(), 3), (Yes(babbles=True), None)):
        (found,) = token_traces(read, RelevanceGrader(OTTERS, None, judge))
        assert (found.pooled, found.judged, found.best, found.random) == (2, judged, 2, 0)
        assert judge is None or all("ladder" in prompt for prompt in judge.asked)


def test_the_subject_is_what_most_statements_hold() -> None:
    assert subject_words(OTTERS) == ("otter", "velvet")
    assert names_subject("An otter, at last.", subject_words(OTTERS))
    assert not names_subject("Nothing but gravel and a lantern.", subject_words(OTTERS))
    assert not names_subject("According to the others", ("accord",))


def test_of_the_bundled_facts_the_subject_is_known() -> None:
    assert {name: len(subject_words(load_truth(name))) for name in FACTS} == dict(zip(FACTS, (2, 1, 2), strict=True))
