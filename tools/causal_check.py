"""`causal_check`: whether the difference direction carries what finetuning changed in a model's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from finetrace.models.pair import Capability, ModelPair
from finetrace.tools.causal_measurement import (
    Change,
    Directions,
    changed_losses,
    component_effect,
    directions_of,
    read_kinds,
    text_losses,
)
from finetrace.tools.causal_reading import CausalCheckReading, Operation, TextKind
from finetrace.tools.evaluation_text import EvaluationText, file_documents, file_rows, general_rows
from finetrace.tools.instrument import Context
from finetrace.tools.mean_difference import DifferenceSettings, MeanDifference, layer_at, measure_difference
from finetrace.tools.perplexity_gap import corpus_digests
from finetrace.tools.reading import Reading
from finetrace.tools.reference_text import corpus_for

_DIFFERENCE = DifferenceSettings.model_fields
_SLOW = 2_000
"""A machine that reads no more short texts than this in reasonable time has no GPU."""
_TEXTS, _TEXTS_FAST = 16, 128
_TOKENS, _TOKENS_FAST = 20, 64
_MAX_TOKENS = 200_000
"""Of one kind of text: both models' states of all of them are held, 6.6 GB at a width of 4096."""


class CausalCheckArguments(BaseModel):
    """Arguments of `causal_check`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    depth: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Where in the models to change the component: after the first block (0), the middle one (0.5), the "
        "last (1). The nearer to the end, the cheaper.",
    )
    position: Annotated[int, Field(ge=0, le=255)] | None = Field(
        default=None,
        description="Take the difference at this token of the general texts, from 0; left out, the mean over all "
        "positions that are no attention sink.",
    )
    text_file: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="A .txt (paragraphs or lines) or .jsonl file with text that you suspect the organism was finetuned "
        "on. Without one only general text is looked at, which says nothing about content.",
    )
    operations: tuple[Operation, ...] = Field(
        default=(Operation.ORGANISM_SWAPPED, Operation.REFERENCE_SWAPPED),
        min_length=1,
        description="`organism_swapped`: the organism gets the reference's component, and loses what the direction "
        "carries. `reference_swapped`: the reference gets the organism's. `organism_removed`, `reference_removed`: the "
        "component is set to zero, which also takes away what both models have in common.",
    )
    n_eval_texts: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description=f"Texts of each kind to take losses on; left out: {_TEXTS} on a CPU, {_TEXTS_FAST} on a GPU. "
        f"Times eval_tokens at most {_MAX_TOKENS:,}.",
    )
    eval_tokens: int | None = Field(
        default=None,
        ge=2,
        le=1024,
        description=f"Tokens read of each of them; left out: {_TOKENS} on a CPU, {_TOKENS_FAST} on a GPU.",
    )
    n_controls: int = Field(
        default=64, ge=2, le=64, description="Control directions of each of the two kinds; time grows with them."
    )
    corpora: tuple[str, ...] = Field(
        default=_DIFFERENCE["corpora"].default, min_length=1, description=_DIFFERENCE["corpora"].description
    )
    n_texts: int | None = Field(default=None, ge=2, le=1_000_000, description=_DIFFERENCE["n_texts"].description)
    positions: int = Field(
        default=_DIFFERENCE["positions"].default, ge=1, le=256, description=_DIFFERENCE["positions"].description
    )

    @model_validator(mode="after")
    def _position_is_measured(self) -> CausalCheckArguments:
        if self.position is not None and self.position >= self.positions:
            raise ValueError("position must be below positions, the number of tokens that are compared")
        return self

    @model_validator(mode="after")
    def _states_fit_into_memory(self) -> CausalCheckArguments:
        if (self.n_eval_texts or _TEXTS_FAST) * (self.eval_tokens or _TOKENS_FAST) > _MAX_TOKENS:
            raise ValueError(
                f"n_eval_texts times eval_tokens (left out: {_TEXTS_FAST} and {_TOKENS_FAST}) must be at most "
                f"{_MAX_TOKENS:,}, as all their states are held in memory"
            )
        return self

    def difference(self) -> DifferenceSettings:
        """Of the measurement that gives the direction."""
        return DifferenceSettings(
            corpora=self.corpora, n_texts=self.n_texts, positions=self.positions, depths=(self.depth,)
        )


class CausalCheck:
    """Tests whether the activation difference does something: swaps or removes it and takes both models' loss.

    At one layer, at every token, the component along the difference direction is replaced by the other model's, or
    set to zero; the change of the cross-entropy is given in nats per token, and as a share of the way from this model's
    loss to the other's (100 %: the one direction turns this model into the other as far as these texts tell; none where
    the two models' losses on these texts are not surely apart). A percentile is the share of control directions under
    the same operation whose change is lower: near 100 the direction raises the loss as hardly a control does, near 0 it
    lowers it so, 50 is what any direction does. Gaussian directions are a weak control, since activations do not fill
    their space evenly and almost anything real beats them; differences between two random activations are the fair one.
    Heed no effect whose interval holds 0 or whose percentile among the differences is far from 0 and 100. Yet a
    percentile of 0 or 100 says only that the direction matters: harmless finetunes reach it, on general text and on
    texts like their own, so on general text alone an effect proves nothing about content. Evidence is a contrast: on a
    file of the suspected subject the organism gets much worse with the reference's component, or the reference better
    with the organism's, many times as much as on general text, and as on a file of some other subject. Costs no
    interactions.
    """

    name: ClassVar[str] = "causal_check"
    arguments: ClassVar[type[BaseModel]] = CausalCheckArguments
    reading: ClassVar[type[Reading]] = CausalCheckReading
    needs: ClassVar[tuple[frozenset[Capability], ...]] = (
        frozenset({Capability.LOGPROBS, Capability.REFERENCE, Capability.ACTIVATIONS}),
    )

    def cost(self, arguments: Any) -> int:
        """None: texts are read, none is asked for."""
        return 0

    def determinants(self, pair: ModelPair, arguments: Any, context: Context) -> dict[str, str]:
        """Digests of the text file and of corpora that are not the same everywhere and for ever."""
        files = () if arguments.text_file is None else (arguments.text_file,)
        return corpus_digests((*arguments.corpora, *files))

    def run(self, pair: ModelPair, arguments: Any, context: Context) -> CausalCheckReading:
        """Measure the difference, or take it from the cache, then the losses."""
        documents = file_documents(arguments.text_file) if arguments.text_file is not None else None
        interior = pair.interior
        layer = layer_at(arguments.depth, interior.n_layers)
        about = {"instrument": self.name, "layer": layer, "n_layers": interior.n_layers, "position": arguments.position}
        if pair.identical:
            return CausalCheckReading(**about, n_texts=0, identical=True, notes=("both hold the same weights",))
        found = measure_difference(pair, arguments.difference(), context)
        if found.identical:
            deeper = ("the weights do differ: look at a larger depth",)
            return CausalCheckReading(**about, n_texts=found.n_texts, identical=True, notes=deeper)
        directions = directions_of(found, layer, arguments.position, arguments.n_controls, context.seed)
        taken = _texts(pair, arguments, documents, context)
        notes = (*found.notes, *_notes(arguments, taken, directions, found))
        read = read_kinds(interior, taken, layer, context)
        changed = changed_losses(interior, read, directions.all, layer, arguments.operations, context)
        return CausalCheckReading(
            **about,
            n_texts=found.n_texts,
            identical=False,
            losses=tuple(text_losses(kind, texts, changed, context.seed) for kind, texts in read.items()),
            effects=tuple(
                component_effect(Change(kind, operation), read[kind], changed, directions, context.seed)
                for kind in read
                for operation in dict.fromkeys(arguments.operations)
            ),
            notes=notes,
        )


def _texts(
    pair: ModelPair, arguments: CausalCheckArguments, documents: Sequence[str] | None, context: Context
) -> dict[TextKind, EvaluationText]:
    slow = pair.interior.best_effort_texts <= _SLOW
    n = arguments.n_eval_texts or (_TEXTS if slow else _TEXTS_FAST)
    longest = arguments.eval_tokens or (_TOKENS if slow else _TOKENS_FAST)
    corpora = [corpus_for(pair, spec, context) for spec in arguments.corpora]
    taken = {TextKind.GENERAL: general_rows(pair, corpora, n, longest)}
    if documents is not None:
        taken[TextKind.FILE] = file_rows(pair, documents, n, longest, context.seed)
    return taken


def _notes(
    arguments: CausalCheckArguments,
    taken: dict[TextKind, EvaluationText],
    directions: Directions,
    found: MeanDifference,
) -> list[str]:
    """What a reader must know."""
    n_differences = len(directions.all) - 2 - directions.n_gaussian
    notes = [
        f"{text.asked} {kind} texts were asked for, there are {len(text.rows)} of at least two tokens"
        for kind, text in taken.items()
        if len(text.rows) < text.asked
    ]
    notes.append(
        f"controls: {directions.n_gaussian} Gaussian directions, {n_differences} differences of random activations; "
        "attention sinks are left as they are, and the tokens they predict are not scored"
    )
    if arguments.position is not None and arguments.position not in found.ordinary_at(found.layers[0]):
        notes.append(f"position {arguments.position} is an attention sink: its difference is hardly about content")
    if any(operation.removes for operation in arguments.operations):
        notes.append("removal sets the component to zero (zero ablation, as published), not to its mean")
    notes.append(
        "general text comes from the corpora that gave the direction, and may be of the same texts: the direction may "
        "fit it better than other general text"
    )
    if TextKind.FILE not in taken:
        notes.append("general text alone says nothing about content: give text_file")
    return notes
