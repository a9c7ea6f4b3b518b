"""What the loss of a model becomes when its residual stream gets the other model's component along a direction.

At every token ``h' = h + ((h_other · v) − (h · v)) v``, or ``h' = h − (h · v) v`` where the component is removed; the
causal test of arXiv 2510.13900, with the attention sink left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from finetrace.models.pair import Progress, Side
from finetrace.tools.random_states import SINK

if TYPE_CHECKING:
    from torch import Tensor

    from finetrace.models.interior import Interior

_ELEMENTS = 1 << 23
"""Numbers of edited states held at once, 32 MiB."""


class TextStates(NamedTuple):
    """One text as both models hold it after a layer."""

    ids: Tensor
    """Tokens `[n]`, special ones before the text included."""
    states: dict[Side, Tensor]
    """Residual stream `[n, d_model]` of each side."""
    losses: dict[Side, float]
    """Cross-entropy of each side as it is, summed over the scored tokens, nats."""
    sinks: Tensor
    """Tokens `[n]` that are left as they are; what follows directly upon them is not scored."""

    @property
    def n_scored(self) -> int:
        """Tokens whose loss counts."""
        return int((~self.sinks[:-1]).sum())


def read_texts(
    interior: Interior, rows: Sequence[Sequence[int]], layer: int, progress: Progress | None = None
) -> list[TextStates]:
    """States and losses of both models on texts of any lengths, at least two tokens each.

    Raises:
        ToolError: The layer is out of range, or a state is not finite.
    """
    import torch

    texts = [torch.tensor([*interior.front_ids, *row]) for row in rows]
    # A sink shows in the middle of a model and is hidden again near its end.
    watched = min(layer, interior.n_layers // 2)
    norms: dict[Side, list[Tensor]] = {}
    found: dict[Side, list[Tensor]] = {}
    logps: dict[Side, list[Tensor]] = {}
    # One side after the other: a pair may hold only one of its models in memory.
    for turn, side in enumerate((Side.REFERENCE, Side.ORGANISM)):
        found[side], logps[side], norms[side] = [], [], []
        for place, ids in enumerate(texts):
            before, states = interior.states(side, ids[None], [watched, layer])
            norms[side].append(torch.stack([before[0], states[0]]).norm(dim=-1))
            found[side].append(states[0])
            logps[side].append(interior.logps_from(side, ids[None], layer, states)[0])
            if progress is not None:
                progress(turn * len(texts) + place + 1, 2 * len(texts))
    read = []
    for place, ids in enumerate(texts):
        states_of = {side: found[side][place] for side in found}
        sinks = sink_tokens(torch.cat([norms[side][place] for side in found]), len(interior.front_ids))
        losses = {side: -float(logps[side][place][~sinks[:-1]].double().sum()) for side in found}
        read.append(TextStates(ids, states_of, losses, sinks))
    return read


def sink_tokens(norms: Tensor, front: int) -> Tensor:
    """Tokens `[n]` that carry no content: special ones before the text, and those of a huge norm.

    Args:
        norms: L2 norms of the states, `[m, n]`: of both models, at each layer looked at.
        front: How many special tokens there are before the text.
    """
    sinks = (norms > SINK * norms[:, front:].median(dim=1, keepdim=True).values).any(dim=0)
    sinks[:front] = True
    return sinks


def edited(states: Tensor, source: Tensor | None, directions: Tensor, sinks: Tensor) -> Tensor:
    """States `[n, d_model]` with the component along each direction `[k, d_model]` changed: `[k, n, d_model]`.

    Args:
        states: Of the model whose loss is asked for.
        source: Whose component they get, `[n, d_model]`; ``None`` removes the component.
        directions: Of norm 1; the zero vector changes nothing.
        sinks: Tokens `[n]` that stay as they are.
    """
    change = (-states if source is None else source - states) @ directions.T
    change[sinks] = 0
    return states + change.T[:, :, None] * directions[:, None]


def edited_losses(
    interior: Interior,
    side: Side,
    texts: Sequence[TextStates],
    layer: int,
    directions: Tensor,
    *,
    remove: bool,
    progress: Progress | None = None,
) -> Tensor:
    """Cross-entropy of one side on each text for each direction, summed over scored tokens: `[texts, k]`, nats.

    Args:
        interior: Of the pair.
        side: Whose loss.
        texts: From `read_texts`.
        layer: After which the states are changed.
        directions: `[k, d_model]`, of norm 1 or zero.
        remove: Remove the component, instead of taking the other side's.
        progress: Told of each text.
    """
    import torch

    other = Side.REFERENCE if side is Side.ORGANISM else Side.ORGANISM
    rows = []
    for place, text in enumerate(texts):
        source = None if remove else text.states[other]
        size = max(1, _ELEMENTS // text.states[side].numel())
        parts = []
        for part in torch.split(directions, size):
            states = edited(text.states[side], source, part, text.sinks)
            logps = interior.logps_from(side, text.ids.expand(len(part), -1), layer, states)
            parts.append(-logps[:, ~text.sinks[:-1]].double().sum(dim=1))
        rows.append(torch.cat(parts))
        if progress is not None:
            progress(place + 1, len(texts))
    return torch.stack(rows)
