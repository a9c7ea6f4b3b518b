"""Patchscope: put a vector where a prompt repeats words, and see which word comes.

Patchscopes, arXiv 2401.06102, as used for activation differences in arXiv 2510.13900: identity prompts, a grid of
scales, and only tokens that all prompts agree on. The choice of scale is ours: the one at which the prompts agree most
beyond what they agree on for random differences. Agreement alone would choose the largest, where no prompt matters.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
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
CONTROLS = 8
"""Random differences that are read beside a vector, at its scale."""
_AT_ONCE = 4
"""Vectors whose whole grid is in memory at a time."""

Chooser = Callable[["Tensor"], int | None]
"""Takes log-probabilities `[scales, vocabulary]`, gives the place of the scale that reads best or leaves it open."""


class Patched(NamedTuple):
    """What identity prompts say of one vector at one scale."""

    scale: float
    """The scale chosen, in units of the usual norm."""
    logps: Tensor
    """Mean over the prompts at that scale, `[vocabulary]`; minus infinity for tokens they do not agree on."""
    overlap: float
    """Share of the first tokens that two prompts have in common at that scale."""
    expected: float
    """The same for random differences."""
    by_rule: bool
    """The scale is the one at which the prompts agree most beyond chance."""


class Patchscope:
    """Identity prompts at one layer of one model.

    Args:
        interior: The models.
        side: Which of them completes the prompts.
        prompts: Token ids of the identity prompts, two at least.
        layer: Where the vector is put.
        norm: The usual norm of the organism's states there.
        random: Random differences `[n, d_model]`; the first few are controls, of the choice of scale and of the lists.
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
        self._layer, self._norm, self._random = layer, norm, random[:CONTROLS]
        self._controls: dict[float, Tensor] = {}
        self._expected = torch.stack([_overlaps(grid) for grid in self._grids(random[:RANDOM])]).mean(0)

    def at(self, vectors: Tensor, scale: float) -> Tensor:
        """Log-probabilities `[n, vocabulary]` of the next token for vectors `[n, d_model]` at one scale.

        Of every token, whether the prompts agree on it or not.
        """
        return _mean(self._patch(self._scaled(vectors) * scale))

    def agreed(self, vectors: Tensor, scales: Tensor) -> Tensor:
        """The same, each vector at a scale of its own; minus infinity for tokens that the prompts do not agree on."""
        return _agreed(self._patch(self._scaled(vectors) * scales[:, None]))

    def controls(self, scales: Sequence[float]) -> list[Tensor]:
        """What `at` gives for random differences at each of the scales, `[controls, vocabulary]`."""
        import torch

        missing = [scale for scale in dict.fromkeys(scales) if scale not in self._controls]
        if missing:
            states = self._scaled(self._random) * torch.tensor(missing)[:, None, None]
            found = _mean(self._patch(states.flatten(0, 1)))
            self._controls |= zip(missing, torch.split(found, len(self._random)), strict=True)
        return [self._controls[scale] for scale in scales]

    def choose(self, vectors: Tensor, chooser: Chooser | None = None) -> Iterator[Patched]:
        """Read each of the vectors `[n, d_model]` at the scale at which the prompts agree most beyond chance.

        Args:
            vectors: What to read.
            chooser: Chooses the scale instead; the rule holds where it leaves it open.
        """
        for grid in self._grids(vectors):
            overlap = _overlaps(grid)
            choice = chooser(_agreed(grid)) if chooser is not None else None
            beyond = (overlap - self._expected).masked_fill(_overflowed(grid), -math.inf)
            best = int(beyond.argmax()) if choice is None else choice
            logps = _agreed(grid[:, best : best + 1])[0]
            yield Patched(SCALES[best], logps, float(overlap[best]), float(self._expected[best]), choice is None)

    def _grids(self, vectors: Tensor) -> Iterator[Tensor]:
        """`[prompts, scales, vocabulary]` for each vector; several are read at once, as a prompt's start is shared."""
        import torch

        for part in torch.split(vectors, _AT_ONCE):
            states = self._scaled(part)[:, None] * torch.tensor(SCALES)[:, None]
            yield from torch.split(self._patch(states.flatten(0, 1)), len(SCALES), dim=1)

    def _scaled(self, vectors: Tensor) -> Tensor:
        scaled: Tensor = vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12) * self._norm
        return scaled

    def _patch(self, states: Tensor) -> Tensor:
        import torch

        return torch.stack([self._interior.patched(self._side, p, self._layer, states) for p in self._prompts])


def _overlaps(grid: Tensor) -> Tensor:
    """Mean share of the first tokens that two prompts have in common, `[scales]`; none where there are no numbers."""
    import torch

    first = grid.topk(min(SHOWN, grid.shape[-1]), dim=-1).indices
    shares = [
        (first[a][:, :, None] == first[b][:, None, :]).any(-1).float().mean(-1)
        for a, b in itertools.combinations(range(len(grid)), 2)
    ]
    # Without numbers all prompts have the same first tokens, which would be perfect agreement.
    mean: Tensor = torch.stack(shares).mean(0).masked_fill(_overflowed(grid), 0.0)
    return mean


def _overflowed(grid: Tensor) -> Tensor:
    """Scales at which the vector is too long for the number format: what comes out is no number."""
    found: Tensor = grid.isnan().any(-1).any(0)
    return found


def _mean(grid: Tensor) -> Tensor:
    """Mean probability over the prompts `[n, vocabulary]`, as logarithm."""
    mean: Tensor = grid.logsumexp(0) - math.log(len(grid))
    return mean


def _agreed(grid: Tensor) -> Tensor:
    """The same; only what is likely enough for all of them."""
    floor = grid.topk(min(AGREED, grid.shape[-1]), dim=-1).values[..., -1:]
    return _mean(grid).masked_fill(~(grid >= floor).all(0), -math.inf)
