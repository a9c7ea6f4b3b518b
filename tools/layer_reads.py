"""From mean differences to tokens: all reads of all vectors, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

from finetrace.models.pair import ModelPair, Side
from finetrace.tools.difference_reads import LayerRead, PositionRead
from finetrace.tools.instrument import Context
from finetrace.tools.mean_difference import DifferenceSettings, MeanDifference, depth_of
from finetrace.tools.token_lists import Read
from finetrace.tools.vector_lists import LayerReader, LayerVectors, ReadVector, Tools, VectorLists

READ_POSITIONS = 8
"""Single positions that are turned into tokens, at most; the mean over all ordinary ones always is."""
_NORMS = 16
"""Norms of further positions that a note lists, at most."""


def read_layers(
    pair: ModelPair,
    difference: MeanDifference,
    reads: Sequence[Read],
    on: Side,
    settings: DifferenceSettings,
    context: Context,
) -> tuple[LayerRead, ...]:
    """Turn the differences at each layer into tokens.

    Args:
        pair: The models.
        difference: What was measured.
        reads: Which reads, in the order wanted.
        on: Whose layers carry on under lens and Patchscope.
        settings: Of the measurement: the same general text serves the read `added`.
        context: Seed, cache, grader.
    """
    wanted = tuple(dict.fromkeys(reads))
    tools = Tools(pair, on, settings, context)
    layers = [_vectors(difference, layer) for layer in difference.layers]
    lists: list[dict[Read, VectorLists]] = [{} for _ in layers]
    report = context.watch("vectors into tokens")
    # What asks the reference comes last, for all layers: a pair may hold only one of its models in memory.
    for group in ([r for r in wanted if r is not Read.ADDED], [r for r in wanted if r is Read.ADDED]):
        for vectors, found in zip(layers, lists, strict=True):
            reader = LayerReader(tools, vectors)
            for read in group:
                report(sum(map(len, lists)), len(layers) * len(wanted))
                found[read] = reader.read(read)
    report(len(layers) * len(wanted), len(layers) * len(wanted))
    return tuple(
        _layer_read(difference, vectors, [found[read] for read in wanted])
        for vectors, found in zip(layers, lists, strict=True)
    )


def unread_notes(difference: MeanDifference) -> list[str]:
    """Which positions were measured and not turned into tokens, and how much the models differ there."""
    n_positions = difference.difference.shape[1]
    if n_positions <= READ_POSITIONS:
        return []
    left = n_positions - READ_POSITIONS
    notes = [f"{left} of {n_positions} positions were not turned into tokens: {READ_POSITIONS} to {n_positions - 1}"]
    for layer, vectors in zip(difference.layers, difference.difference.tensor, strict=True):
        norms = vectors[READ_POSITIONS:].norm(dim=-1).tolist()
        listed = ", ".join(f"{norm:.3g}" for norm in norms[:_NORMS])
        more = f", … up to {max(norms):.3g}" if left > _NORMS else ""
        notes.append(f"norms of the difference there at layer {layer}: {listed}{more}")
    return notes


def _vectors(difference: MeanDifference, layer: int) -> LayerVectors:
    """The mean over ordinary positions, then the first single ones."""
    place = difference.place(layer)
    found, other = difference.difference.tensor[place], difference.reference_mean.tensor[place]
    single = [ReadVector(p, found[p], other[p]) for p in range(min(len(found), READ_POSITIONS))]
    mean = ReadVector(None, difference.pooled(layer), other[list(difference.ordinary_at(layer))].mean(0))
    return LayerVectors(layer, difference.scale[place], (mean, *single), difference.controls.tensor[place])


def _layer_read(difference: MeanDifference, vectors: LayerVectors, lists: Sequence[VectorLists]) -> LayerRead:
    return LayerRead(
        layer=vectors.layer,
        depth=depth_of(vectors.layer, difference.n_layers),
        scale=float(f"{vectors.scale:.6g}"),
        positions=tuple(_position_read(difference, vectors, i, lists) for i in range(len(vectors.vectors))),
        random=tuple(found.random for found in lists),
    )


def _position_read(
    difference: MeanDifference, vectors: LayerVectors, index: int, lists: Sequence[VectorLists]
) -> PositionRead:
    place, p = difference.place(vectors.layer), vectors.vectors[index].position
    return PositionRead(
        position=p,
        sink=p is not None and p not in difference.ordinary_at(vectors.layer),
        norm=float(f"{float(vectors.vectors[index].difference.norm()):.6g}"),
        noise=difference.pooled_noise[place] if p is None else difference.noise[place][p],
        agreement=difference.pooled_agreement[place] if p is None else difference.agreement[place][p],
        difference=tuple(found.difference[index] for found in lists),
        reference=tuple(found.reference[index] for found in lists),
    )
