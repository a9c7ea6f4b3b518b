"""Token positions of general text: which carry content, and what a reader must know of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from finetrace.errors import ToolError
from finetrace.tools.beginnings import Beginnings
from finetrace.tools.random_states import SINK
from finetrace.tools.reading import one_line

if TYPE_CHECKING:
    from torch import Tensor


def ordinary_positions(norms: Sequence[Tensor], scale: Sequence[float]) -> tuple[int, ...]:
    """Positions whose states are as long as states usually are, in both models.

    Args:
        norms: Mean norm of the states of each model, `[layers, positions]`.
        scale: Usual norm at each of these layers.

    Raises:
        ToolError: There are none.
    """
    import torch

    limit = SINK * torch.tensor(scale)[:, None]
    kept = torch.stack([(each <= limit).all(dim=0) for each in norms]).all(dim=0).tolist()
    if not any(kept):
        raise ToolError(
            f"each of the first {len(kept)} positions is an attention sink, which carries no content",
            "compare more positions; 5 are usual",
        )
    return tuple(position for position, plain in enumerate(kept) if plain)


def text_notes(taken: Beginnings, wanted: int, positions: int) -> list[str]:
    """What the corpora could not give."""
    notes = [f"no text of {one_line(name, 100)} has {positions} tokens: left out" for name in taken.without]
    if len(taken.rows) < wanted:
        notes.append(f"{wanted} texts were asked for, the corpora hold {len(taken.rows)}")
    return notes


def front_notes(layer: int, apart: Tensor) -> list[str]:
    """What was done about special tokens before the text, whose difference is `[tokens, d_model]`."""
    if not len(apart):
        return []
    lengths = ", ".join(f"{value:.3g}" for value in apart.norm(dim=-1).tolist())
    return [
        f"the tokenizer puts {len(apart)} special token(s) before the text: the same states in every text, left out of "
        "the positions; position 0 is the first content token",
        f"difference of the special token(s) before the text at layer {layer}: norm {lengths}",
    ]


def sink_notes(ordinary: Sequence[int], positions: int) -> list[str]:
    """What was done about positions that carry no content."""
    sinks = [position for position in range(positions) if position not in ordinary]
    if not sinks:
        return []
    are = "is an attention sink" if len(sinks) == 1 else "are attention sinks"
    return [
        f"position {', '.join(map(str, sinks))} {are} (norm above {SINK:g} times the usual one): shown apart, left out "
        "of means over positions and of the norm"
    ]
