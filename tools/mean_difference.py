"""What finetuning adds to the residual stream on text that has nothing to do with it: the mean activation difference.

Activation Difference Lens, arXiv 2510.13900, with the changes that docs/activations.md gives reasons for: running sums
instead of kept activations, float32, the attention sink apart, sampling error and random differences beside it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from finetrace.errors import ToolError
from finetrace.models.pair import Capability, ModelPair, Side, require
from finetrace.tools.beginnings import beginnings, longest_beginnings
from finetrace.tools.corpora import Corpus
from finetrace.tools.instrument import Context, code_digest
from finetrace.tools.positions import front_notes, ordinary_positions, sink_notes, text_notes
from finetrace.tools.random_states import RANDOM_TEXTS, RANDOM_TOKENS, random_states
from finetrace.tools.reference_text import corpus_for
from finetrace.tools.vectors import Vectors

if TYPE_CHECKING:
    from torch import Tensor

    from finetrace.models.interior import ResidualMeans


WITHIN_NOISE = 2.0
"""A difference shorter than so many standard errors may come from the choice of texts alone."""


class DifferenceSettings(BaseModel):
    """What determines a mean difference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpora: tuple[str, ...] = Field(
        # Prose alone: on code the differences of models that were trained on documents say less of their subject.
        default=("own", "self"),
        min_length=1,
        description="General text that both models read: `own` (openings of all kinds), `self` (text of the reference "
        "itself), `python` (code and its documentation), a .txt or .jsonl file, or a hub data set.",
    )
    n_texts: int | None = Field(
        default=None, ge=2, le=1_000_000, description="Texts to read; left out: 2,000 on a CPU, 10,000 on a GPU."
    )
    positions: int = Field(
        default=5, ge=1, le=256, description="Tokens of each text that are compared, from its first."
    )
    depths: tuple[Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)], ...] = Field(
        default=(0.5,),
        min_length=1,
        max_length=16,
        description="Where in the models to look: 0 is the first block, 0.5 the middle one, 1 the last. Several cost "
        "hardly more than the deepest of them. Small models show what was trained in near the end.",
    )


class MeanDifference(BaseModel):
    """The mean activation difference of a pair, layer by layer and position by position."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: tuple[int, ...]
    """Counted from 0."""
    n_layers: int
    """Blocks of the models."""
    n_texts: int
    """Texts both models read."""
    difference: Vectors
    """Mean of the organism minus mean of the reference, `[layers, positions, d_model]`."""
    reference_mean: Vectors
    """`[layers, positions, d_model]`."""
    noise: tuple[tuple[float, ...], ...]
    """Standard error of each difference as a length, by layer and position, from two halves of the texts."""
    agreement: tuple[tuple[float, ...], ...]
    """Cosine between the differences of the two halves."""
    pooled_noise: tuple[float, ...]
    """Standard error of `pooled` as a length, by layer."""
    pooled_agreement: tuple[float, ...]
    """Cosine between what the two halves give for `pooled`, by layer."""
    scale: tuple[float, ...]
    """Mean L2 norm of the organism's states by layer, attention sinks left out."""
    controls: Vectors
    """Differences between the reference's own states on two texts at one position, `[layers, controls, d_model]`."""
    ordinary: tuple[tuple[int, ...], ...]
    """By layer, the positions that are no attention sink, neither there nor in the middle of the models."""
    identical: bool
    """Every difference is exactly zero."""
    notes: tuple[str, ...] = ()
    """What a reader must know: what was done about a BOS token or a sink, and how many texts were missing."""

    def place(self, layer: int) -> int:
        """Where a layer stands in ``layers``.

        Raises:
            ToolError: It was not measured.
        """
        if layer not in self.layers:
            raise ToolError(f"layer {layer} was not measured", f"measured: {', '.join(map(str, self.layers))}")
        return self.layers.index(layer)

    def ordinary_at(self, layer: int) -> tuple[int, ...]:
        """Positions that are no attention sink at a layer, whichever other layers were measured."""
        return self.ordinary[self.place(layer)]

    def pooled(self, layer: int) -> Tensor:
        """The difference over the ordinary positions `[d_model]`: their mean direction at their mean length.

        Each position weighs alike: the first ones often differ most, and say least.
        """
        return _pooled(self.difference.tensor[self.place(layer)], self.ordinary_at(layer))

    def direction(self, layer: int, position: int | None = None) -> Tensor:
        """The difference at one position, or its mean over the ordinary ones, as a vector `[d_model]` of norm 1.

        Raises:
            ToolError: The layer or the position was not measured, or there is no difference.
        """
        found = self.difference.tensor[self.place(layer)]
        if position is not None and not 0 <= position < len(found):
            raise ToolError(f"position {position} was not measured", f"positions are 0 to {len(found) - 1}")
        vector = self.pooled(layer) if position is None else found[position]
        norm = float(vector.norm())
        if norm == 0:
            raise ToolError("the two models do not differ here: there is no direction", "both read text alike")
        return vector / norm


def layer_at(depth: float, n_layers: int) -> int:
    """The layer at a relative depth from 0 to 1: ``floor(depth · (n_layers − 1))``, as published."""
    # A product that is a rounding error below a whole number means that number: 0.57 of 100 is 56.99….
    return int(depth * (n_layers - 1) + 1e-9)


def depth_of(layer: int, n_layers: int) -> float:
    """The least relative depth of four digits at which `layer_at` finds the layer."""
    return math.ceil(1e4 * layer / max(1, n_layers - 1) - 1e-6) / 1e4


def measure_difference(pair: ModelPair, settings: DifferenceSettings, context: Context) -> MeanDifference:
    """The mean difference of a pair, measured or from the cache.

    Neither the order of the corpora nor that of the depths changes anything.

    Raises:
        ToolError: The pair gives no activations, or fewer than two texts are long enough.
    """
    require(pair, frozenset({Capability.ACTIVATIONS}), "the activation difference")
    corpora = {each.digest: each for each in (corpus_for(pair, spec, context) for spec in settings.corpora)}
    n_layers = pair.interior.n_layers
    layers = sorted({layer_at(depth, n_layers) for depth in settings.depths})
    # Kept layer by layer, so that an instrument that looks at one layer finds what another has measured with several.
    same = settings.model_dump_json(exclude={"corpora", "depths"})
    parts = [code_digest(MeanDifference), pair.fingerprint, same, str(context.seed), *sorted(corpora)]
    keys = {layer: hashlib.sha256("|".join([*parts, str(layer)]).encode()).hexdigest() for layer in layers}
    known = {layer: context.cache.read(key, MeanDifference) for layer, key in keys.items()}
    missing = [layer for layer, found in known.items() if found is None]
    if missing:
        for measured in _measure(pair, settings, missing, list(corpora.values()), context):
            (layer,) = measured.layers
            known[layer] = measured
            context.cache.write(keys[layer], measured)
    return _joined([found for found in known.values() if found is not None])


def _joined(found: Sequence[MeanDifference]) -> MeanDifference:
    """Single layers of one measurement as one; what is said of a layer stays as it was."""
    import torch

    def stacked(name: str) -> Vectors:
        return Vectors.of(torch.cat([getattr(each, name).tensor for each in found]))

    if len(found) == 1:
        return found[0]
    first = found[0]
    return MeanDifference(
        layers=tuple(layer for each in found for layer in each.layers),
        n_layers=first.n_layers,
        n_texts=first.n_texts,
        difference=stacked("difference"),
        reference_mean=stacked("reference_mean"),
        noise=tuple(row for each in found for row in each.noise),
        agreement=tuple(row for each in found for row in each.agreement),
        pooled_noise=tuple(value for each in found for value in each.pooled_noise),
        pooled_agreement=tuple(value for each in found for value in each.pooled_agreement),
        scale=tuple(value for each in found for value in each.scale),
        controls=stacked("controls"),
        ordinary=tuple(row for each in found for row in each.ordinary),
        identical=all(each.identical for each in found),
        notes=tuple(dict.fromkeys(note for each in found for note in each.notes)),
    )


def _measure(
    pair: ModelPair, settings: DifferenceSettings, layers: Sequence[int], corpora: Sequence[Corpus], context: Context
) -> list[MeanDifference]:
    """One measurement for each layer; none depends on which others there are."""
    interior = pair.interior
    wanted = settings.n_texts or interior.best_effort_texts
    taken = beginnings(pair, corpora, wanted, settings.positions, context.seed)
    if len(taken.rows) < 2:
        raise ToolError(
            f"only one text has {settings.positions} tokens: nothing would show the sampling error",
            "compare fewer positions, or give more texts",
        )
    front = list(interior.front_ids)
    rows = [front + list(ids) for ids in taken.rows]
    # A sink shows in the middle of a model and is hidden again near its end, so the middle is looked at from there on.
    watch = {layer: min(layer, interior.n_layers // 2) for layer in layers}
    seen = sorted({*watch, *watch.values()})
    means = {
        side: interior.means(side, rows, seen, context.watch(f"{side} reads general text"))
        for side in (Side.REFERENCE, Side.ORGANISM)
    }
    longer = longest_beginnings(pair, corpora, RANDOM_TEXTS, RANDOM_TOKENS, context.seed)
    random = random_states(interior, longer, seen, context.seed)
    found = []
    for layer in layers:
        place, watched = seen.index(layer), sorted({seen.index(layer), seen.index(watch[layer])})
        norms = [each.norm[watched, len(front) :] for each in means.values()]
        ordinary = ordinary_positions(norms, [random.scale[i] for i in watched])
        own, other = (_at(means[side], place) for side in (Side.ORGANISM, Side.REFERENCE))
        measured = MeanDifference(
            layers=(layer,),
            n_layers=interior.n_layers,
            n_texts=len(rows),
            scale=(random.scale[place],),
            controls=Vectors.of(random.differences[place : place + 1]),
            ordinary=(ordinary,),
            notes=(
                *text_notes(taken, wanted, settings.positions),
                *front_notes(layer, (own.mean - other.mean)[0, : len(front)]),
                *sink_notes(ordinary, settings.positions),
            ),
            **_compared(own, other, len(front), ordinary),
        )
        found.append(measured)
    return found


def _at(means: ResidualMeans, place: int) -> ResidualMeans:
    """The same at one layer."""
    one = slice(place, place + 1)
    return means._replace(mean=means.mean[one], halves=means.halves[:, one], norm=means.norm[one])


def _compared(own: ResidualMeans, other: ResidualMeans, front: int, ordinary: Sequence[int]) -> dict[str, Any]:
    """The difference after ``front`` special tokens, and what two halves of the texts say of it."""
    difference = (own.mean - other.mean)[:, front:]
    halves = (own.halves - other.halves)[:, :, front:]
    pooled = _pooled(halves, ordinary)
    return {
        "difference": Vectors.of(difference),
        "reference_mean": Vectors.of(other.mean[:, front:]),
        "identical": not bool(difference.any()),
        "noise": tuple(map(_row, _error(halves))),
        "agreement": tuple(map(_row, _cosine(halves))),
        "pooled_noise": _row(_error(pooled)),
        "pooled_agreement": _row(_cosine(pooled)),
    }


def _pooled(found: Tensor, ordinary: Sequence[int]) -> Tensor:
    """Mean direction at mean length over the ordinary ones of ``[..., positions, d_model]``."""
    taken = found[..., list(ordinary), :]
    lengths = taken.norm(dim=-1, keepdim=True)
    direction = (taken / lengths.clamp_min(1e-12)).mean(-2)
    pooled: Tensor = direction / direction.norm(dim=-1, keepdim=True).clamp_min(1e-12) * lengths.mean(-2)
    return pooled


def _error(halves: Tensor) -> Tensor:
    """Standard error of the mean of two halves `[2, ..., d_model]`, as a length."""
    error: Tensor = (halves[0] - halves[1]).norm(dim=-1) / 2
    return error


def _cosine(halves: Tensor) -> Tensor:
    import torch

    return torch.nn.functional.cosine_similarity(halves[0], halves[1], dim=-1)


def _row(values: Tensor) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values.tolist())
