"""Ordinary states of the two models: how long they usually are, and how the reference's differ from text to text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from finetrace.errors import ToolError
from finetrace.models.pair import Side

if TYPE_CHECKING:
    from torch import Tensor

    from finetrace.models.interior import Interior

SINK = 8.0
"""A state whose norm is above so many times the median norm is an attention sink: it carries no content."""
RANDOM_TEXTS = 128
"""Texts that ordinary states are taken from."""
RANDOM_TOKENS = 16
"""Their length, in tokens, where texts are that long."""
_CONTROLS = 64


class RandomStates(NamedTuple):
    """What ordinary states are like, layer by layer."""

    scale: tuple[float, ...]
    """Mean L2 norm of the organism's states, attention sinks left out."""
    differences: Tensor
    """Between two of the reference's states at one position, `[layers, n, d_model]`."""


def random_states(interior: Interior, rows: Sequence[Sequence[int]], layers: Sequence[int], seed: int) -> RandomStates:
    """The usual norm of the organism's states, and differences between the reference's on random texts.

    Args:
        interior: The models.
        rows: Token ids of texts, all of one length, without special tokens.
        layers: Where to look.
        seed: Chooses positions and pairs.

    Raises:
        ToolError: There are fewer than two texts.
    """
    import torch

    if len(rows) < 2:
        raise ToolError("one text is too few to compare texts with each other", "give a corpus of several texts")
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
    return RandomStates(tuple(scale), torch.stack([differences[i] for i in order], dim=1))


def _pairs(n: int, draws: object) -> list[tuple[int, int]]:
    """Disjoint pairs of ``n`` texts in a random order."""
    import torch

    order = torch.randperm(n, generator=draws).tolist()  # type: ignore[call-overload]
    return list(zip(order[0::2], order[1::2], strict=False))
