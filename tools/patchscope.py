"""Patchscope: put a vector where a prompt repeats words, and see which word comes.

Patchscopes, arXiv 2401.06102, as used for activation differences in arXiv 2510.13900: identity prompts, a grid of
scales, and only tokens that all prompts agree on. The choice of scale is ours: the one at which the prompts agree most
beyond what they agree on for random differences. Agreement alone would choose the largest, where no prompt matters.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from finetrace.models.pair import Side
from finetrace.tools.token_lists import SHOWN

if TYPE_CHECKING:
    from torch import Tensor

    from finetrace.models.interior import Interior

IDENTITY_PROMPTS = (
    "table -> table\n208 -> 208\nwarm -> warm\n?",
    "chair -> chair\n37 -> 37\ngreen -> green\n?",
    "640 -> 640\nwindow -> window\noliver -> oliver\n?",
)
"""A few words repeated, then a place for what is to be read."""
SCALES = (
    *(round(0.5 + 0.1 * i, 1) for i in range(16)),
    3.0,
    4.0,
    5.0,
    10.0,
    20.0,
    *(40.0 + 20.0 * i for i in range(9)),
)
"""Lengths tried, in units of the usual norm of the organism's states: the published grid."""
AGREED = 16_384
"""A token counts if it is among so many first tokens for every prompt."""
RANDOM = 4
"""Random differences whose agreement is compared with."""


class Patched(NamedTuple):
    """What identity prompts say of one vector."""

    scale: float
    """The scale chosen, in units of the usual norm."""
    logps: Tensor
    """Mean over the prompts at that scale, `[vocabulary]`; minus infinity for tokens they do not agree on."""
    overlap: float
    """Share of the first tokens that two prompts have in common at that scale."""
    expected: float
    """The same for random differences."""


class Patchscope:
    """Identity prompts at one layer of one model.

    Args:
        interior: The models.
        side: Which of them completes the prompts.
        prompts: Token ids of the identity prompts.
        layer: Where the vector is put.
        norm: The usual norm of the organism's states there.
        random: Random differences `[n, d_model]`; the first few are the control of the choice of scale.
    """

    def __init__(
        self,
        interior: Interior,
        side: Side,
        prompts: Sequence[Sequence[int]],
        layer: int,
        norm: float,
        random: Tensor,
    ) -> None:
        import torch

        self._interior, self._side, self._prompts = interior, side, prompts
        self._layer, self._norm = layer, norm
        overlaps = [self._overlaps(self._grid(vector)) for vector in random[:RANDOM]]
        self._expected = torch.stack(overlaps).mean(0)

    def at(self, vectors: Tensor, scale: float) -> Tensor:
        """Log-probabilities `[n, vocabulary]` of the next token for vectors `[n, d_model]` at one scale."""
        return _agreed(self._patch(self._scaled(vectors) * scale))

    def choose(self, vector: Tensor) -> Patched:
        """Read a vector `[d_model]` at the scale at which the prompts agree most beyond chance."""
        grid = self._grid(vector)
        overlap = self._overlaps(grid)
        best = int((overlap - self._expected).argmax())
        found = _agreed(grid[:, best : best + 1])[0]
        return Patched(SCALES[best], found, float(overlap[best]), float(self._expected[best]))

    def lists_by_scale(self, vector: Tensor) -> Tensor:
        """Log-probabilities `[scales, vocabulary]`: for a grader that chooses among them."""
        return _agreed(self._grid(vector))

    def _grid(self, vector: Tensor) -> Tensor:
        """`[prompts, scales, vocabulary]`."""
        import torch

        return self._patch(self._scaled(vector[None]) * torch.tensor(SCALES)[:, None])

    def _scaled(self, vectors: Tensor) -> Tensor:
        return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12) * self._norm

    def _patch(self, states: Tensor) -> Tensor:
        import torch

        return torch.stack([self._interior.patched(self._side, p, self._layer, states) for p in self._prompts])

    @staticmethod
    def _overlaps(grid: Tensor) -> Tensor:
        """Mean share of the first tokens that two prompts have in common, `[scales]`."""
        import torch

        first = grid.topk(SHOWN, dim=-1).indices
        shares = [
            (first[a][:, :, None] == first[b][:, None, :]).any(-1).float().mean(-1)
            for a, b in itertools.combinations(range(len(grid)), 2)
        ]
        mean: Tensor = torch.stack(shares).mean(0)
        return mean


def _agreed(grid: Tensor) -> Tensor:
    """Mean probability over the prompts `[n, vocabulary]`, as logarithm; only what is likely enough for all of them."""
    import torch

    n = min(AGREED, grid.shape[-1])
    floor = grid.topk(n, dim=-1).values[..., -1:]
    mean = grid.exp().mean(0).log()
    kept: Tensor = torch.where((grid >= floor).all(0), mean, torch.tensor(float("-inf")))
    return kept
