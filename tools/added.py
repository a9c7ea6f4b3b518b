"""What a vector does where it is at home: add it to the reference's states on general text and see what comes next.

A Patchscope (arXiv 2401.06102) whose prompts are general text and whose operation is addition. It asks less of a model
than identity prompts do: a small one need not have learnt to repeat words to show where a vector pushes it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from finetrace.models.pair import Side

if TYPE_CHECKING:
    from torch import Tensor

    from finetrace.models.interior import Interior

PLAUSIBLE = 16_384
"""Only so many tokens count: those that the reference finds likeliest after general text."""


class Added:
    """The reference on general text, with and without a vector.

    Args:
        interior: The models.
        ids: Beginnings of general text `[texts, tokens]`.
    """

    def __init__(self, interior: Interior, ids: Tensor) -> None:
        self._interior, self._ids = interior, ids
        self._plain = interior.next_logps(Side.REFERENCE, ids)
        likely = self._plain.exp().mean(0)
        floor = likely.topk(min(PLAUSIBLE, len(likely))).values[-1]
        self._implausible = likely < floor

    def changes(self, layer: int, vectors: Tensor) -> Tensor:
        """Mean change of each token's log-probability under each of the vectors `[n, d_model]`, nats.

        Returns:
            `[n, vocabulary]`; minus infinity for implausible tokens.
        """
        import torch

        states = self._interior.states(Side.REFERENCE, self._ids, [layer])[0]
        return torch.stack([self._change(layer, states + vector) for vector in vectors])

    def _change(self, layer: int, states: Tensor) -> Tensor:
        # What precedes the layer is the same with and without the vector.
        with_it = self._interior.next_logps_from(Side.REFERENCE, self._ids, layer, states)
        return (with_it - self._plain).mean(0).masked_fill(self._implausible, -math.inf)
