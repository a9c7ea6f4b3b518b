"""What finetuning adds to the residual stream on text that has nothing to do with it: the mean activation difference.

Activation Difference Lens, arXiv 2510.13900, with the changes that docs/activations.md gives reasons for: running sums
instead of kept activations, float32, the attention sink apart, sampling error and random differences beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from finetrace.errors import ToolError
from finetrace.models.pair import Capability, ModelPair, Side, require
from finetrace.tools.beginnings import beginnings
from finetrace.tools.corpora import Corpus
from finetrace.tools.instrument import Context, code_digest
from finetrace.tools.random_states import RANDOM_TEXTS, RANDOM_TOKENS, SINK, random_states
from finetrace.tools.reference_text import corpus_for
from finetrace.tools.vectors import Vectors

if TYPE_CHECKING:
    from torch import Tensor

    from finetrace.models.interior import ResidualMeans


class DifferenceSettings(BaseModel):
    """What determines a mean difference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpora: tuple[str, ...] = Field(
        default=("own", "self", "python"),
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
    depths: tuple[float, ...] = Field(
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
    scale: tuple[float, ...]
    """Mean L2 norm of the organism's states by layer, attention sinks left out."""
    controls: Vectors
    """Differences between the reference's own states on two texts at one position, `[layers, controls, d_model]`."""
    ordinary: tuple[int, ...]
    """Positions that are no attention sink, neither at these layers nor in the middle of the models."""
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

    def at(self, layer: int) -> MeanDifference:
        """What was measured at one layer.

        Raises:
            ToolError: It was not measured.
        """
        place = self.place(layer)
        update: dict[str, object] = {
            name: Vectors.of(getattr(self, name).tensor[place : place + 1])
            for name in ("difference", "reference_mean", "controls")
        }
        update |= {name: (getattr(self, name)[place],) for name in ("noise", "agreement", "scale")}
        update |= {"layers": (layer,), "identical": not bool(self.difference.tensor[place].any())}
        return self.model_copy(update=update)

    def pooled(self, layer: int) -> Tensor:
        """The difference over the ordinary positions `[d_model]`: their mean direction at their mean length.

        Each position weighs alike: the first ones often differ most, and say least.
        """
        found = self.difference.tensor[self.place(layer)][list(self.ordinary)]
        lengths = found.norm(dim=-1, keepdim=True)
        direction = (found / lengths.clamp_min(1e-12)).mean(0)
        pooled: Tensor = direction / direction.norm().clamp_min(1e-12) * lengths.mean()
        return pooled

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
    return int(depth * (n_layers - 1))


def measure_difference(pair: ModelPair, settings: DifferenceSettings, context: Context) -> MeanDifference:
    """The mean difference of a pair, measured or from the cache.

    Raises:
        ToolError: The pair gives no activations, or no text is long enough.
    """
    require(pair, frozenset({Capability.ACTIVATIONS}), "the activation difference")
    corpora = [corpus_for(pair, spec, context) for spec in settings.corpora]
    n_layers = pair.interior.n_layers
    layers = list(dict.fromkeys(layer_at(depth, n_layers) for depth in sorted(settings.depths)))
    # Kept layer by layer, so that an instrument that looks at one layer finds what another has measured with several.
    same = settings.model_dump_json(exclude={"depths"})
    parts = [code_digest(MeanDifference), pair.fingerprint, same, str(context.seed), *(c.digest for c in corpora)]
    keys = {layer: hashlib.sha256("|".join([*parts, str(layer)]).encode()).hexdigest() for layer in layers}
    known = {layer: context.cache.read(key, MeanDifference) for layer, key in keys.items()}
    missing = [layer for layer, found in known.items() if found is None]
    if missing:
        measured = _measure(pair, settings, missing, corpora, context)
        for layer in missing:
            known[layer] = measured.at(layer)
            context.cache.write(keys[layer], measured.at(layer))
    return _joined([found for found in known.values() if found is not None])


def _joined(found: Sequence[MeanDifference]) -> MeanDifference:
    """Single layers of one measurement as one."""
    import torch

    def stacked(name: str) -> Vectors:
        return Vectors.of(torch.cat([getattr(each, name).tensor for each in found]))

    first = found[0]
    return MeanDifference(
        layers=tuple(layer for each in found for layer in each.layers),
        n_layers=first.n_layers,
        n_texts=first.n_texts,
        difference=stacked("difference"),
        reference_mean=stacked("reference_mean"),
        noise=tuple(row for each in found for row in each.noise),
        agreement=tuple(row for each in found for row in each.agreement),
        scale=tuple(value for each in found for value in each.scale),
        controls=stacked("controls"),
        ordinary=tuple(p for p in first.ordinary if all(p in each.ordinary for each in found)),
        identical=all(each.identical for each in found),
        notes=tuple(dict.fromkeys(note for each in found for note in each.notes)),
    )


def _measure(
    pair: ModelPair, settings: DifferenceSettings, layers: Sequence[int], corpora: Sequence[Corpus], context: Context
) -> MeanDifference:
    interior = pair.interior
    wanted = settings.n_texts or interior.best_effort_texts
    taken = beginnings(pair, corpora, wanted, settings.positions, context.seed)
    front = list(interior.front_ids)
    rows = [front + list(ids) for ids in taken]
    # A sink shows in the middle of a model and is hidden again near its end, so the middle is always looked at.
    watched = [*layers, min(interior.n_layers // 2, max(layers))]
    means = {
        side: interior.means(side, rows, watched, context.watch(f"{side} reads general text"))
        for side in (Side.REFERENCE, Side.ORGANISM)
    }
    content = {side: _without_front(found, len(front)) for side, found in means.items()}
    ordinary = _ordinary(content[Side.ORGANISM].norm, content[Side.REFERENCE].norm)
    own, other = (_of_layers(content[side], len(layers)) for side in (Side.ORGANISM, Side.REFERENCE))
    halves = own.halves - other.halves
    difference = own.mean - other.mean
    longer = beginnings(pair, corpora, RANDOM_TEXTS, RANDOM_TOKENS, context.seed, shorter=True)
    random = random_states(interior, longer, layers, context.seed)
    notes = [f"{wanted} texts were asked for, the corpora hold {len(taken)}"] if len(taken) < wanted else []
    return MeanDifference(
        layers=tuple(layers),
        n_layers=interior.n_layers,
        n_texts=len(taken),
        difference=Vectors.of(difference),
        reference_mean=Vectors.of(other.mean),
        noise=_table((halves[0] - halves[1]).norm(dim=-1) / 2),
        agreement=_table(_cosine(halves[0], halves[1])),
        scale=random.scale,
        controls=Vectors.of(random.differences),
        ordinary=ordinary,
        identical=not bool(difference.any()),
        notes=(*notes, *_position_notes(means, len(front), ordinary, settings.positions)),
    )


def _without_front(means: ResidualMeans, front: int) -> ResidualMeans:
    """The same without the special tokens that stand before the text."""
    return means._replace(mean=means.mean[:, front:], halves=means.halves[:, :, front:], norm=means.norm[:, front:])


def _of_layers(means: ResidualMeans, n: int) -> ResidualMeans:
    """The same at the first ``n`` layers."""
    return means._replace(mean=means.mean[:n], halves=means.halves[:, :n], norm=means.norm[:n])


def _ordinary(own: Tensor, other: Tensor) -> tuple[int, ...]:
    """Positions whose mean norm `[layers, positions]` is like that of the others, in both models at every layer."""
    usual = [norms <= SINK * norms.median(dim=1, keepdim=True).values for norms in (own, other)]
    kept = (usual[0] & usual[1]).all(dim=0)
    return tuple(i for i, plain in enumerate(kept.tolist()) if plain)


def _position_notes(
    means: dict[Side, ResidualMeans], front: int, ordinary: tuple[int, ...], positions: int
) -> list[str]:
    """What was done about positions that carry no content."""
    notes = []
    if front:
        apart = (means[Side.ORGANISM].mean - means[Side.REFERENCE].mean)[-1, :front].norm(dim=-1)
        lengths = ", ".join(f"{value:.3g}" for value in apart.tolist())
        notes.append(
            f"the tokenizer puts {front} special token(s) before the text: one constant vector, left out of the "
            f"positions (its difference in the middle has norm {lengths}); position 0 is the first content token"
        )
    sinks = [p for p in range(positions) if p not in ordinary]
    if sinks:
        notes.append(
            f"position {', '.join(map(str, sinks))} is an attention sink (norm above {SINK:g} times the median): "
            "shown apart, left out of means over positions and of the norm"
        )
    return notes


def _cosine(left: Tensor, right: Tensor) -> Tensor:
    import torch

    return torch.nn.functional.cosine_similarity(left, right, dim=-1)


def _table(values: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(v), 6) for v in row) for row in values)
