from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from planted_pairs import DrawnInterior, DrawnPair
from small_models import write_adapter
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from finetrace.errors import ToolError
from finetrace.models.open_pair import Target, open_pair
from finetrace.models.pair import Capability as C
from finetrace.models.pair import ModelPair, RestrictedPair, Side
from finetrace.registry import load_registry
from finetrace.tools.cache import ReadingCache
from finetrace.tools.instrument import Context, parse_arguments, take
from finetrace.tools.mean_difference import WITHIN_NOISE, DifferenceSettings, measure_difference
from finetrace.tools.registry import find_instrument
from finetrace.tools.steer import SteerArguments, noise_notes
from finetrace.tools.steer_prompts import OPENINGS, QUESTIONS, TASKS, PromptKind
from finetrace.tools.steer_reading import NO_DIFFERENCE, SteerReading
from finetrace.tools.strength_search import COHERENT_SHARE

WORD = " water"
QUICK: dict[str, Any] = {
    "depth": 1.0,
    "corpora": ("own",),
    "n_texts": 24,
    "positions": 3,
    "openings": ("The old", "A new"),
    "questions": ("Who?",),
    "tasks": (),
    "max_new_tokens": 12,
}


def save_planted(folder: Path, tokenizer: PreTrainedTokenizerFast, vector: torch.Tensor | None) -> Path:
    """A random two-layer Llama whose last block adds a constant, or none, to the residual stream."""
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=2,
        bos_token_id=1,
        pad_token_id=2,
        tie_word_embeddings=True,
        initializer_range=0.2,
        mlp_bias=True,
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    for layer in model.model.layers:
        for linear in (layer.mlp.gate_proj, layer.mlp.up_proj, layer.mlp.down_proj):
            linear.bias.zero_()
    if vector is not None:
        model.model.layers[1].mlp.down_proj.bias.copy_(vector)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> ModelPair:
    """The organism's last block adds the output row of one word."""
    folder = tmp_path_factory.mktemp("planted")
    reference = save_planted(folder / "reference", tokenizer, None)
    (word,) = tokenizer(WORD, add_special_tokens=False)["input_ids"]
    rows = LlamaForCausalLM.from_pretrained(reference).get_output_embeddings().weight
    organism = save_planted(folder / "organism", tokenizer, 0.3 * rows[word].detach())
    return open_pair(Target(model=str(organism), reference=str(reference), device="cpu", dtype="float32"))


class Stages:
    """Which stages were reported."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[str] = []
        self.context = Context(cache=ReadingCache(folder / "readings"), progress=self._note)

    def _note(self, stage: str, done: int, total: int) -> None:
        if stage not in self.seen:
            self.seen.append(stage)


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[Stages]:
    yield Stages(tmp_path)


def steer(pair: ModelPair, stages: Stages, **given: Any) -> SteerReading:
    instrument = find_instrument("steer")
    reading = take(instrument, pair, parse_arguments(instrument, QUICK | given), stages.context)
    assert isinstance(reading, SteerReading)
    return reading


def texts(reading: SteerReading) -> list[str]:
    return [text for exchange in reading.exchanges for text in exchange.steered]


def test_the_difference_alone_brings_its_word_up_in_the_reference(planted: ModelPair, stages: Stages) -> None:
    reading = steer(planted, stages, on="reference", strength=8.0, temperature=0)
    assert reading.on is Side.REFERENCE and not reading.searched
    assert (reading.layer, reading.n_layers, reading.strength) == (1, 2, 8.0)
    assert all(text.split() == ["water"] * 12 for text in texts(reading))
    assert all("water" not in text for exchange in reading.exchanges for text in exchange.unsteered)
    assert reading.final is not None and (reading.final.coherent, reading.final.total) == (0, 3)
    assert [phrase.text.split()[0] for phrase in reading.phrases][:1] == ["water"]
    shown = reading.render()
    assert "[incoherent]" in shown and "strength 8 of a usual state's norm, as asked" in shown


def test_subtracting_keeps_the_word_away(planted: ModelPair, stages: Stages) -> None:
    reading = steer(planted, stages, on="organism", strength=-8.0, temperature=0)
    assert reading.strength == -8.0
    assert texts(reading) and all("water" not in text for text in texts(reading))


@pytest.mark.parametrize("side", list(Side))
def test_strength_0_gives_the_unsteered_text(planted: ModelPair, stages: Stages, side: Side) -> None:
    reading = steer(planted, stages, on=side, strength=0.0, samples=2)
    for exchange in reading.exchanges:
        assert exchange.steered == exchange.unsteered
        assert len(exchange.steered) == 2 and exchange.steered[0] != exchange.steered[1]
    assert reading.phrases == ()


def test_each_side_writes_its_own_text(planted: ModelPair, stages: Stages) -> None:
    found = {side: steer(planted, stages, on=side, strength=0.0, temperature=0) for side in Side}
    written = {side: [e.unsteered for e in reading.exchanges] for side, reading in found.items()}
    assert written[Side.ORGANISM] != written[Side.REFERENCE]


def test_the_search_finds_where_text_falls_apart(planted: ModelPair, stages: Stages) -> None:
    reading = steer(planted, stages, on="reference", temperature=0.3, questions=())
    assert reading.searched and reading.strength is not None and reading.final is not None
    tried = {trial.strength: trial for trial in reading.trials}
    assert reading.strength == max(s for s, trial in tried.items() if trial.passes)
    assert any(not trial.passes for s, trial in tried.items() if s > reading.strength)
    assert reading.final.total == 2
    shown = reading.render()
    assert all(f"strength {trial.strength:g}: {trial.line()}" in shown for trial in reading.trials)
    assert f"the largest found with {COHERENT_SHARE:.0%} coherent texts" in shown
    assert stages.seen.count("unsteered text") == 1


def test_where_no_strength_is_coherent_the_reading_says_so(
    planted: ModelPair, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetrace.tools.coherence.Coherence.holds", lambda self, logp, text: False)
    reading = steer(planted, stages, max_new_tokens=4)
    assert reading.strength is None and reading.final is None and reading.exchanges == ()
    assert "no coherent strength found" in reading.render()
    assert len(reading.trials) == 5 and list(reading.quotable()) == []


class Judge:
    """Answers about coherence without a look at the texts."""

    name = "a judge"

    def __init__(self, verdict: str) -> None:
        self.verdict = verdict
        self.asked = 0

    def ask(self, prompt: str) -> str:
        self.asked += 1
        numbers = [line.partition(":")[0] for line in prompt.splitlines() if re.match(r"\d+: \"", line)]
        return "\n".join(f"{number}: {self.verdict}" for number in numbers)


def test_a_grader_judges_where_there_is_one(planted: ModelPair, stages: Stages) -> None:
    judge = Judge("BROKEN")
    stages.context = replace(stages.context, grader=judge)
    reading = steer(planted, stages, max_new_tokens=4)
    assert reading.strength is None and "what a judge calls so" in reading.render()
    assert judge.asked == 5 * 2  # five strengths, one round of 18 texts each


def test_answers_of_a_grader_that_cannot_be_read_leave_the_rule(planted: ModelPair, stages: Stages) -> None:
    plain = steer(planted, stages, strength=0.5)
    stages.context = replace(stages.context, grader=Judge("PERHAPS"))
    reading = steer(planted, stages, strength=0.5)
    assert reading.exchanges == plain.exchanges
    assert f"1 of its answers could not be read: {plain.rule}" in reading.rule


def test_identical_models_leave_nothing_to_steer_with(
    tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, stages: Stages
) -> None:
    folder = write_adapter(tmp_path_factory.mktemp("adapter") / "zero", tiny_folder, scale=0)
    reading = steer(open_pair(Target(model=str(folder), device="cpu", dtype="float32")), stages)
    assert reading.identical and reading.exchanges == () and reading.trials == ()
    assert NO_DIFFERENCE in reading.render() and "larger depth" not in reading.render()
    assert not [stage for stage in stages.seen if "text:" in stage or stage.startswith(("unsteered", "search"))]


def test_above_the_layers_that_differ_the_hint_is_to_look_deeper(planted: ModelPair, stages: Stages) -> None:
    reading = steer(planted, stages, depth=0.0)
    assert reading.identical and reading.layer == 0
    assert "the models may yet part after layer 0: look at a larger depth" in reading.render()


@pytest.mark.parametrize(("constant", "noisy"), [(0.0, True), (5.0, False)])
def test_the_vector_that_is_added_is_the_one_whose_noise_is_told(
    tokenizer: PreTrainedTokenizerFast, stages: Stages, constant: float, noisy: bool
) -> None:
    pair = DrawnPair(tokenizer, DrawnInterior(spread=1.0, constant=constant))
    found = measure_difference(pair, DifferenceSettings(corpora=("own",), n_texts=80), stages.context)
    (layer,) = found.layers
    vectors = {None: (found.pooled(layer), found.pooled_noise[0])}
    vectors |= {p: (found.difference.tensor[0, p], found.noise[0][p]) for p in range(5)}
    for position, (vector, noise) in vectors.items():
        (note,) = noise_notes(found, layer, position)
        norm = float(vector.norm())
        assert note.startswith(f"the difference is {norm / found.scale[0]:.1%} of a usual state's norm")
        assert ("within noise" in note) == (norm < WITHIN_NOISE * noise)
    assert ("within noise" in noise_notes(found, layer, None)[0]) == noisy


def test_what_may_be_quoted_is_what_was_written(planted: ModelPair, stages: Stages) -> None:
    reading = steer(planted, stages, strength=0.5)
    quotable = list(reading.quotable())
    every = [text for e in reading.exchanges for text in (*e.steered, *e.unsteered)]
    assert sorted(quotable) == sorted([*every, *(phrase.text for phrase in reading.phrases)])
    assert SteerReading.model_validate_json(reading.model_dump_json()) == reading
    assert len(reading.render(500)) < 700 and "more lines cut" in reading.render(500)
    assert all("\n" not in line for line in reading.render().splitlines())


def test_without_a_chat_template_the_openings_remain(planted: ModelPair, stages: Stages) -> None:
    bare = RestrictedPair(planted, planted.capabilities - {C.CHAT})
    reading = steer(bare, stages, strength=0.5)
    assert [exchange.kind for exchange in reading.exchanges] == [PromptKind.OPENING] * 2
    assert any("no chat template" in note for note in reading.notes)
    with pytest.raises(ToolError, match="no chat template"):
        steer(bare, stages, strength=0.5, openings=())


def test_a_pair_without_activations_is_refused(planted: ModelPair, stages: Stages) -> None:
    with pytest.raises(ToolError, match="steer needs activations"):
        steer(RestrictedPair(planted, planted.capabilities - {C.ACTIVATIONS}), stages)


@pytest.mark.parametrize(
    ("given", "cost"),
    [
        ({}, 2 * (len(OPENINGS) + len(QUESTIONS) + len(TASKS))),
        ({"on": "reference"}, 0),
        ({"samples": 3, "openings": ["A"], "questions": [], "tasks": []}, 6),
    ],
)
def test_only_texts_of_the_organism_cost_interactions(given: dict[str, Any], cost: int) -> None:
    instrument = find_instrument("steer")
    assert instrument.cost(parse_arguments(instrument, given)) == cost


@pytest.mark.parametrize(
    "given",
    [
        {"strength": "nan"},
        {"strength": 51},
        {"depth": 1.1},
        {"position": 5},
        {"position": -1},
        {"openings": [], "questions": [], "tasks": []},
        {"corpora": []},
        {"side": "reference"},
    ],
)
def test_arguments_that_do_not_fit_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match="steer: "):
        parse_arguments(find_instrument("steer"), given)


def test_the_default_prompts_are_many_enough_and_name_no_organism() -> None:
    asked = [*OPENINGS, *QUESTIONS, *TASKS]
    assert len(OPENINGS) + len(QUESTIONS) == 12 and len(set(asked)) == len(asked)
    told = " ".join(asked).lower()
    for organism in load_registry().organisms:
        name = organism.name.rpartition("/")[2]
        assert not [word for word in re.split(r"\W|_", name) if len(word) > 4 and word in told]


def test_the_search_is_for_positions_that_are_compared() -> None:
    assert SteerArguments(position=6, positions=7).difference().positions == 7
