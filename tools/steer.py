"""`steer`: what a model writes with the activation difference added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from finetrace.errors import ToolError
from finetrace.models.pair import Capability, Decoding, ModelPair, Side
from finetrace.tools.chat import Question
from finetrace.tools.instrument import Context
from finetrace.tools.mean_difference import WITHIN_NOISE, DifferenceSettings, MeanDifference, measure_difference
from finetrace.tools.perplexity_gap import corpus_digests
from finetrace.tools.phrases import distinctive_phrases
from finetrace.tools.reading import Reading
from finetrace.tools.steer_prompts import OPENINGS, QUESTIONS, TASKS, PromptKind, Put, put
from finetrace.tools.steer_reading import SteeredExchange, SteeredPhrase, SteerReading
from finetrace.tools.steered_text import SteeredText, Steering
from finetrace.tools.strength_search import Found, Trial, search_strength

_ROUNDS = 3
"""Rounds of samples for one strength of the search, at most."""
_PHRASES = 20


class SteerArguments(BaseModel):
    """Arguments of `steer`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: Side = Field(
        default=Side.ORGANISM,
        description="Which model writes. `organism`: what was trained in becomes louder. `reference`: what the "
        "difference alone puts there, in a model that was never finetuned.",
    )
    strength: Annotated[float, Field(ge=-50, le=50, allow_inf_nan=False)] | None = Field(
        default=None,
        description="How much to add, as a fraction of the usual norm of a state there; negative subtracts. Left out: "
        "the largest strength whose texts are still coherent, by search.",
    )
    depth: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Where in the model to add it: 0 is the first block, 0.5 the middle one, 1 the last. Where nothing "
        "shows in the middle, try 0.9 to 1: small models show what was trained in near the end.",
    )
    position: Annotated[int, Field(ge=0, le=255)] | None = Field(
        default=None,
        description="Take the difference at this token of the general texts, from 0; left out, the mean over all "
        "positions that are no attention sink.",
    )
    openings: tuple[Question, ...] = Field(
        default=OPENINGS, max_length=64, description="First words of texts, continued without any chat format."
    )
    questions: tuple[Question, ...] = Field(
        default=QUESTIONS, max_length=64, description="Chat messages that leave the subject open."
    )
    tasks: tuple[Question, ...] = Field(
        default=TASKS,
        max_length=64,
        description="Chat messages that say exactly what to write: what shows here shows against the task.",
    )
    samples: int = Field(default=1, ge=1, le=20, description="Steered and unsteered texts for each prompt.")
    temperature: float = Field(default=0.8, ge=0, le=2, description="0 gives the most likely text.")
    max_new_tokens: int = Field(default=48, ge=1, le=512, description="Longest text, in tokens.")
    corpora: tuple[str, ...] = Field(
        default=DifferenceSettings.model_fields["corpora"].default,
        min_length=1,
        description=DifferenceSettings.model_fields["corpora"].description,
    )
    n_texts: int | None = Field(
        default=None, ge=2, le=1_000_000, description=DifferenceSettings.model_fields["n_texts"].description
    )
    positions: int = Field(
        default=DifferenceSettings.model_fields["positions"].default,
        ge=1,
        le=256,
        description=DifferenceSettings.model_fields["positions"].description,
    )

    @model_validator(mode="after")
    def _something_to_do(self) -> SteerArguments:
        if not (self.openings or self.questions or self.tasks):
            raise ValueError("give at least one opening, question or task")
        if self.position is not None and self.position >= self.positions:
            raise ValueError("position must be below positions, the number of tokens that are compared")
        return self

    def difference(self) -> DifferenceSettings:
        """Of the measurement that gives the vector."""
        return DifferenceSettings(
            corpora=self.corpora, n_texts=self.n_texts, positions=self.positions, depths=(self.depth,)
        )


class Steer:
    """Lets a model write with the activation difference added at every token, and shows what comes up.

    The difference is the mean one on general text, added at one layer; with `on` set to `reference` nothing but the
    difference can bring a subject up. Steered texts stand beside unsteered ones drawn with the same random numbers: a
    subject that recurs in the steered ones, in several prompts and also against the tasks, points to what was trained
    in. Steered text is distorted text: its single sentences are no facts, and a finetune without a narrow subject gives
    odd style or nothing. That no strength is coherent, or that nothing comes up, is an ordinary result at a layer where
    the difference carries no words; try another depth. Costs one interaction for each text of the organism that is
    shown, steered or unsteered; the texts of the search, and all texts of the reference, cost none.
    """

    name: ClassVar[str] = "steer"
    arguments: ClassVar[type[BaseModel]] = SteerArguments
    reading: ClassVar[type[Reading]] = SteerReading
    needs: ClassVar[tuple[frozenset[Capability], ...]] = (
        frozenset({Capability.GENERATE, Capability.REFERENCE, Capability.LOGPROBS, Capability.ACTIVATIONS}),
    )
    uses_grader: ClassVar[bool] = True

    def cost(self, arguments: Any) -> int:
        """One interaction for each text of the organism that is shown."""
        if arguments.on is Side.REFERENCE:
            return 0
        return 2 * int(arguments.samples) * sum(map(len, (arguments.openings, arguments.questions, arguments.tasks)))

    def determinants(self, pair: ModelPair, arguments: Any, context: Context) -> dict[str, str]:
        """Digests of corpora that are not the same everywhere and for ever."""
        return corpus_digests(arguments.corpora)

    def run(self, pair: ModelPair, arguments: Any, context: Context) -> SteerReading:
        """Measure the difference, find the strength, write."""
        prompts, notes = _prompts(pair, arguments)
        difference = measure_difference(pair, arguments.difference(), context)
        (layer,) = difference.layers
        about: dict[str, Any] = {
            "instrument": self.name,
            "on": arguments.on,
            "layer": layer,
            "n_layers": difference.n_layers,
            "position": arguments.position,
            "searched": arguments.strength is None,
        }
        notes += difference.notes
        if difference.identical:
            if layer < difference.n_layers - 1 and not pair.identical:
                notes.append(f"the models may yet part after layer {layer}: look at a larger depth")
            return SteerReading(**about, identical=True, notes=tuple(notes))
        notes += noise_notes(difference, layer, arguments.position)
        vector = difference.direction(layer, arguments.position) * difference.scale[0]
        decoding = Decoding(arguments.max_new_tokens, arguments.temperature, context.seed)
        steering = Steering(arguments.on, layer, vector, decoding)
        text = SteeredText(pair, steering, [asked.prompt for asked in prompts], arguments.samples, context)
        found = (
            search_strength(text.judge, _ROUNDS if arguments.temperature else 1)
            if arguments.strength is None
            else Found(arguments.strength, ())
        )
        if found.uneven:
            notes.append("coherence does not fall evenly with strength here: take the strength found with care")
        about |= {"identical": False, "trials": found.trials, "notes": tuple(notes)}
        if found.strength is not None:
            about |= _final(text, found.strength, prompts)
        return SteerReading(**about, rule=text.rule())


def _prompts(pair: ModelPair, arguments: SteerArguments) -> tuple[list[Put], list[str]]:
    """What this model can be asked, and a note on what it cannot."""
    openings = put(PromptKind.OPENING, arguments.openings)
    chats = [*put(PromptKind.QUESTION, arguments.questions), *put(PromptKind.TASK, arguments.tasks)]
    if Capability.CHAT in pair.capabilities or not chats:
        return [*openings, *chats], []
    if not openings:
        raise ToolError("the organism has no chat template", "give openings, which are continued as raw text")
    return openings, ["the organism has no chat template: questions and tasks were left out"]


def noise_notes(difference: MeanDifference, layer: int, position: int | None) -> list[str]:
    """What must be said about a difference that may be nothing but the choice of texts."""
    place = difference.place(layer)
    vector = difference.pooled(layer) if position is None else difference.difference.tensor[place, position]
    norm = float(vector.norm())
    noise = difference.pooled_noise[place] if position is None else difference.noise[place][position]
    size = f"the difference is {norm / difference.scale[place]:.1%} of a usual state's norm"
    if norm < WITHIN_NOISE * noise:
        return [
            f"{size}, within noise (standard error {noise:.2g}, length {norm:.2g}): what it brings up means nothing"
        ]
    return [f"{size}, {norm / noise:.0f} standard errors long" if noise > 0 else size]


def _final(text: SteeredText, strength: float, prompts: Sequence[Put]) -> dict[str, Any]:
    """Fresh texts at the strength, beside unsteered ones."""
    steered, verdicts = text.final(strength)
    size = len(steered) // len(prompts)
    exchanges = tuple(
        SteeredExchange(
            kind=asked.kind,
            prompt=asked.text,
            steered=steered[i * size : (i + 1) * size],
            coherent=verdicts[i * size : (i + 1) * size],
            unsteered=text.unsteered[i * size : (i + 1) * size],
        )
        for i, asked in enumerate(prompts)
    )
    phrases = distinctive_phrases(steered, text.unsteered, k=_PHRASES)
    return {
        "strength": strength,
        "final": Trial.of(strength, verdicts),
        "n_unsteered": len(text.unsteered),
        "exchanges": exchanges,
        "phrases": tuple(
            SteeredPhrase(text=p.text, steered=p.count, unsteered=p.background_count, score=round(p.score, 3))
            for p in phrases
        ),
    }
