"""What states of a model are like on any text: their usual norm, and how far two of them are apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from finetrace.errors import ToolError
from finetrace.models.pair import Side

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from finetrace.models.interior import Interior

SINK = 8.0
"""A state whose norm is above so many times the median norm is an attention sink: it carries no content."""
RANDOM_TEXTS = 128
"""Texts that ordinary states are taken from."""
RANDOM_TOKENS = 16
"""Their length, in tokens, where texts are that long."""
_CONTROLS = 64
_AT_ONCE = 64
"""Texts whose states are in memory at a time; even, so that no two neighbours are torn apart."""


class RandomStates(NamedTuple):
    """Of single states on general text."""

    scale: tuple[float, ...]
    """Mean L2 norm of the organism's states by layer, attention sinks left out."""
    differences: Tensor
    """Between the reference's own states on two texts at one position, `[layers, n, d_model]`."""


def random_states(interior: Interior, rows: Sequence[Sequence[int]], layers: Sequence[int], seed: int) -> RandomStates:
    """Read the usual norm and random differences from texts of one length, which are in a random order.

    Raises:
        ToolError: No two texts can be compared.
    """
    import torch

    front = len(interior.front_ids)
    texts = torch.tensor([list(row) for row in rows])
    parts = torch.split(torch.tensor([[*interior.front_ids, *row] for row in rows]), _AT_ONCE)
    # One side after the other: a pair may hold only one of its models in memory.
    own = [interior.states(Side.ORGANISM, part, layers)[:, :, front:].norm(dim=-1) for part in parts]
    places = _places(texts, torch.Generator().manual_seed(seed))
    if not len(places):
        raise ToolError("the general texts are too few or too alike to compare", "give more texts, or longer ones")
    differences = []
    for number, part in enumerate(parts):
        first, second, position = places[places[:, 0] // _AT_ONCE == number].T
        states = interior.states(Side.REFERENCE, part, layers)[:, :, front:]
        differences.append(states[:, first % _AT_ONCE, position] - states[:, second % _AT_ONCE, position])
    lengths = torch.cat(own, dim=1).flatten(1)
    usual = lengths <= SINK * lengths.median(dim=1, keepdim=True).values
    scale = tuple(float(norms[kept].mean()) for norms, kept in zip(lengths, usual, strict=True))
    return RandomStates(scale, torch.cat(differences, dim=1))


def _places(texts: Tensor, draws: Generator) -> Tensor:
    """What is compared: two neighbouring texts of ``texts`` `[n, tokens]` at one position, `[differences, 3]`.

    It depends on the texts alone, so that each layer is compared at the same places.
    """
    import torch

    even = len(texts) // 2 * 2
    # Texts that begin alike do not differ there.
    fit = (texts[0:even:2] != texts[1:even:2]).cumsum(dim=1) > 0
    if fit.shape[1] > 1:
        fit[:, 0] = False  # the first token may be a sink, and a difference there would show little else
    ranked = (torch.rand(fit.shape, generator=draws) * fit).sort(dim=1, descending=True)
    # One position of each two texts, then a second one, as many as are needed.
    ranks, couples = (ranked.values.T > 0).nonzero(as_tuple=True)
    ranks, couples = ranks[:_CONTROLS], couples[:_CONTROLS]
    return torch.stack([2 * couples, 2 * couples + 1, ranked.indices[couples, ranks]], dim=1)
