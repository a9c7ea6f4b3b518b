"""What finetuning adds to the residual stream on text that has nothing to do with it: the mean activation difference.

Activation Difference Lens, arXiv 2510.13900, with the changes that docs/activations.md gives reasons for: running sums
instead of kept activations, float32, the attention sink apart, sampling error and random differences beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from finetrace.errors import FinetraceError, ToolError
from finetrace.models.pair import Capability, ModelPair, Side, require
from finetrace.tools.corpora import Corpus, Prefill, prefills
from finetrace.tools.instrument import Context, code_digest
from finetrace.tools.reference_text import corpus_for
from finetrace.tools.vectors import Vectors

if TYPE_CHECKING:
    from torch import Tensor

    from finetrace.models.interior import Interior, ResidualMeans

SINK = 8.0
"""A state whose norm is above so many times the median norm is an attention sink: it carries no content."""
_LONGER_TEXTS = 256
_LONGER_TOKENS = 16
_CONTROLS = 64


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
    """Positions that are no attention sink at any of the layers."""
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

    def direction(self, layer: int, position: int | None = None) -> Tensor:
        """The difference at one position, or its mean over the ordinary ones, as a vector `[d_model]` of norm 1.

        Raises:
            ToolError: The layer or the position was not measured, or there is no difference.
        """
        found = self.difference.tensor[self.place(layer)]
        if position is not None and not 0 <= position < len(found):
            raise ToolError(f"position {position} was not measured", f"positions are 0 to {len(found) - 1}")
        vector = found[list(self.ordinary)].mean(0) if position is None else found[position]
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
    parts = [code_digest(MeanDifference), pair.fingerprint, settings.model_dump_json(), str(context.seed)]
    key = hashlib.sha256("|".join([*parts, *(c.digest for c in corpora)]).encode()).hexdigest()
    if (known := context.cache.read(key, MeanDifference)) is not None:
        return known
    difference = _measure(pair, settings, corpora, context)
    context.cache.write(key, difference)
    return difference


def general_rows(
    pair: ModelPair, specs: Sequence[str], n: int, n_tokens: int, context: Context
) -> list[tuple[int, ...]]:
    """Distinct beginnings of general text, token ids without special tokens; shorter where no text is that long.

    Raises:
        ToolError: There is no such corpus, or it holds no text.
    """
    corpora = [corpus_for(pair, spec, context) for spec in specs]
    return _beginnings(pair, corpora, n, n_tokens, context.seed, shorter=True)


def _measure(
    pair: ModelPair, settings: DifferenceSettings, corpora: Sequence[Corpus], context: Context
) -> MeanDifference:
    interior = pair.interior
    layers = tuple(dict.fromkeys(layer_at(depth, interior.n_layers) for depth in sorted(settings.depths)))
    wanted = settings.n_texts or interior.best_effort_texts
    taken = _beginnings(pair, corpora, wanted, settings.positions, context.seed)
    front = list(interior.front_ids)
    rows = [front + list(ids) for ids in taken]
    means = {
        side: interior.means(side, rows, layers, context.watch(f"{side} reads general text"))
        for side in (Side.REFERENCE, Side.ORGANISM)
    }
    content = {side: _without_front(found, len(front)) for side, found in means.items()}
    own, other = content[Side.ORGANISM], content[Side.REFERENCE]
    halves = own.halves - other.halves
    difference = own.mean - other.mean
    ordinary = _ordinary(own.norm, other.norm)
    longer = _beginnings(pair, corpora, _LONGER_TEXTS, _LONGER_TOKENS, context.seed, shorter=True)
    random = _random_states(interior, longer, layers, context.seed)
    notes = [f"{wanted} texts were asked for, the corpora hold {len(taken)}"] if len(taken) < wanted else []
    return MeanDifference(
        layers=layers,
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


def _beginnings(
    pair: ModelPair, corpora: Sequence[Corpus], n: int, n_tokens: int, seed: int, *, shorter: bool = False
) -> list[tuple[int, ...]]:
    """Distinct beginnings of ``n_tokens`` tokens: as many of each corpus, the rest from those that have more.

    Args:
        pair: Whose tokenizer.
        corpora: Where they come from.
        n: How many.
        n_tokens: Length of each.
        seed: Chooses among the documents.
        shorter: Take half the length, and so on, where no text is that long.
    """
    found: list[list[Prefill]] = []
    for corpus in corpora:
        try:
            found.append(prefills(corpus, pair.tokenizer, n, n_tokens, seed))
        except FinetraceError:
            continue
    if not found and shorter and n_tokens > 1:
        return _beginnings(pair, corpora, n, n_tokens // 2, seed, shorter=True)
    if not found:
        raise ToolError(f"no text has {n_tokens} tokens", "compare fewer positions, or give longer texts as corpora")
    chosen: dict[tuple[int, ...], None] = {}
    for rank in range(max(map(len, found))):
        for of_corpus in found:
            if rank < len(of_corpus) and len(chosen) < n:
                chosen.setdefault(of_corpus[rank].token_ids)
    return list(chosen)


def _without_front(means: ResidualMeans, front: int) -> ResidualMeans:
    """The same without the special tokens that stand before the text."""
    return means._replace(mean=means.mean[:, front:], halves=means.halves[:, :, front:], norm=means.norm[:, front:])


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
            f"positions (its difference at the deepest layer has norm {lengths}); position 0 is the first content token"
        )
    sinks = [p for p in range(positions) if p not in ordinary]
    if sinks:
        ratio = means[Side.REFERENCE].norm[:, front:]
        times = float((ratio[:, sinks].max(dim=1).values / ratio.median(dim=1).values).max())
        notes.append(
            f"position {', '.join(map(str, sinks))} is an attention sink (norm up to {times:.0f} times the median): "
            "shown apart, left out of means over positions and of the norm"
        )
    return notes


class _Random(NamedTuple):
    scale: tuple[float, ...]
    differences: Tensor


def _random_states(interior: Interior, rows: Sequence[Sequence[int]], layers: Sequence[int], seed: int) -> _Random:
    """The usual norm of the organism's states, and differences between the reference's on random texts."""
    import torch

    front = len(interior.front_ids)
    parts = torch.split(torch.tensor([list(interior.front_ids) + list(row) for row in rows]), 64)
    # One side after the other: a pair may hold only one of its models in memory.
    norms = [interior.states(Side.ORGANISM, part, layers)[:, :, front:].norm(dim=-1) for part in parts]
    draws = torch.Generator().manual_seed(seed)
    # The first token may be a sink, and a difference with it would be nothing but that.
    first = min(1, len(rows[0]) - 1)
    picked = [
        interior.states(Side.REFERENCE, part, layers)[
            :, :, front + int(torch.randint(first, len(rows[0]), (1,), generator=draws))
        ]
        for part in parts
    ]
    lengths = torch.cat(norms, dim=1).flatten(1)
    usual = lengths <= SINK * lengths.median(dim=1, keepdim=True).values
    scale = [float(each[keep].mean()) for each, keep in zip(lengths, usual, strict=True)]
    # Both of a pair stand at one position: within a part they do.
    differences = [p[:, a] - p[:, b] for p in picked for a, b in _pairs(p.shape[1], draws)]
    order = torch.randperm(len(differences), generator=draws)[:_CONTROLS].tolist()
    return _Random(tuple(scale), torch.stack([differences[i] for i in order], dim=1))


def _pairs(n: int, draws: object) -> list[tuple[int, int]]:
    """Disjoint pairs of ``n`` texts in a random order."""
    import torch

    order = torch.randperm(n, generator=draws).tolist()  # type: ignore[call-overload]
    return list(zip(order[0::2], order[1::2], strict=False))


def _cosine(left: Tensor, right: Tensor) -> Tensor:
    import torch

    return torch.nn.functional.cosine_similarity(left, right, dim=-1)


def _table(values: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(v), 6) for v in row) for row in values)
