"""What a vector does where it is at home: add it to the reference's states on general text and see what comes next.

A Patchscope (arXiv 2401.06102) whose prompts are general text and whose operation is addition. It asks less of a model
than identity prompts do: a small one need not have learnt to repeat words to show where a vector pushes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetrace.models.pair import Side
from finetrace.models.residual import adding

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
        layer: Where vectors are added.
    """

    def __init__(self, interior: Interior, ids: Tensor, layer: int) -> None:
        self._interior, self._ids, self._layer = interior, ids, layer
        self._plain = interior.next_logps(Side.REFERENCE, ids)
        likely = self._plain.exp().mean(0)
        floor = likely.topk(min(PLAUSIBLE, len(likely))).values[-1]
        self._implausible = likely < floor

    def change(self, vector: Tensor) -> Tensor:
        """Mean change of each token's log-probability `[vocabulary]`, nats; minus infinity for implausible tokens."""
        with_it = self._interior.next_logps(Side.REFERENCE, self._ids, adding(self._layer, vector))
        return (with_it - self._plain).mean(0).masked_fill(self._implausible, float("-inf"))
