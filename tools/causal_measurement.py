"""How a causal check measures: the directions, the losses with each, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from finetrace.errors import ToolError
from finetrace.models.pair import Side
from finetrace.tools.causal_reading import ComponentEffect, ControlEffects, Operation, TextKind, TextLosses
from finetrace.tools.component_swap import TextStates, edited_losses, read_texts
from finetrace.tools.effects import bootstrap, percentile, spread
from finetrace.tools.evaluation_text import EvaluationText
from finetrace.tools.instrument import Context
from finetrace.tools.mean_difference import MeanDifference

if TYPE_CHECKING:
    from torch import Tensor

    from finetrace.models.interior import Interior


class Directions(NamedTuple):
    """All directions that are tried on the same texts in the same batches."""

    all: Tensor
    """`[2 + controls, d_model]`: none (the zero vector), the difference, Gaussian ones, differences of activations."""
    n_gaussian: int
    """How many of them are Gaussian."""


class Change(NamedTuple):
    """One operation on one kind of text."""

    kind: TextKind
    operation: Operation


def directions_of(found: MeanDifference, layer: int, position: int | None, n_controls: int, seed: int) -> Directions:
    """The difference at a layer and its controls, as many of each kind as asked for and as there are.

    Raises:
        ToolError: The layer or the position was not measured, or the models do not differ there.
    """
    import torch

    own = found.direction(layer, position)
    gaussian = torch.randn(n_controls, len(own), generator=torch.Generator().manual_seed(seed))
    random = found.controls.tensor[found.place(layer)]
    random = random[random.norm(dim=1) > 0][:n_controls]  # two texts may begin alike
    if not len(random):
        raise ToolError("no two general texts differ: there are no control directions", "give other corpora")
    controls = torch.cat([gaussian, random])
    controls = controls / controls.norm(dim=1, keepdim=True)
    return Directions(torch.cat([torch.zeros(1, len(own)), own[None], controls]), n_controls)


def read_kinds(
    interior: Interior, taken: Mapping[TextKind, EvaluationText], layer: int, context: Context
) -> dict[TextKind, list[TextStates]]:
    """Both models' states and losses on all texts of which a token can be scored.

    Raises:
        ToolError: The layer is out of range, a state is not finite, or there is no such text of one kind.
    """
    rows = [row for text in taken.values() for row in text.rows]
    read = iter(read_texts(interior, rows, layer, context.watch("both models read the texts")))
    kinds = {kind: [text for _ in taken[kind].rows if (text := next(read)).n_scored] for kind in taken}
    for kind, texts in kinds.items():
        if not texts:
            raise ToolError(
                f"no {kind} text has a token that can be scored", "give longer texts: what follows a sink is not scored"
            )
    return kinds


def changed_losses(
    interior: Interior,
    read: Mapping[TextKind, Sequence[TextStates]],
    directions: Tensor,
    layer: int,
    operations: Sequence[Operation],
    context: Context,
) -> dict[Change, Tensor]:
    """Losses `[texts, directions]` of each change; all of the organism first, which was the last to be read."""
    # Whichever side was read last is still in memory where only one fits.
    ordered = sorted(dict.fromkeys(operations), key=lambda operation: operation.side is Side.REFERENCE)
    return {
        Change(kind, operation): edited_losses(
            interior,
            operation.side,
            texts,
            layer,
            directions,
            remove=operation.removes,
            progress=context.watch(f"{operation} on {kind} text"),
        )
        for operation in ordered
        for kind, texts in read.items()
    }


def text_losses(kind: TextKind, texts: Sequence[TextStates], changed: Mapping[Change, Tensor], seed: int) -> TextLosses:
    """Both models as they are on one kind of text; ``changed`` tells the numerical noise."""
    counts = [text.n_scored for text in texts]
    own, other = ([text.losses[side] for text in texts] for side in (Side.ORGANISM, Side.REFERENCE))
    gaps = [mine - theirs for mine, theirs in zip(own, other, strict=True)]
    again = [
        abs(float(values[:, 0].sum()) - sum(text.losses[change.operation.side] for text in texts))
        for change, values in changed.items()
        if change.kind is kind
    ]
    return TextLosses(
        kind=kind,
        n_texts=len(texts),
        n_tokens=sum(counts),
        organism=sum(own) / sum(counts),
        reference=sum(other) / sum(counts),
        gap=bootstrap(gaps, counts, seed),
        noise=max(again) / sum(counts),
    )


def component_effect(
    change: Change,
    texts: Sequence[TextStates],
    changed: Mapping[Change, Tensor],
    directions: Directions,
    seed: int,
) -> ComponentEffect:
    """What one change does, beside its controls."""
    losses, side = changed[change], change.operation.side
    other = Side.REFERENCE if side is Side.ORGANISM else Side.ORGANISM
    counts = [text.n_scored for text in texts]
    deltas = losses[:, 1:] - losses[:, :1]
    effect, *controls = (deltas.sum(dim=0) / sum(counts)).tolist()
    gaps = [text.losses[other] - text.losses[side] for text in texts]
    apart = bootstrap(gaps, counts, seed)
    sure = apart is not None and not apart.covers(0)
    own = deltas[:, 0].tolist()
    return ComponentEffect(
        kind=change.kind,
        operation=change.operation,
        delta=effect,
        interval=bootstrap(own, counts, seed),
        relative=effect * sum(counts) / sum(gaps) if sure else None,
        relative_interval=bootstrap(own, gaps, seed) if sure else None,  # draws effect and gap on the same texts
        gaussian=_controls(effect, controls[: directions.n_gaussian]),
        differences=_controls(effect, controls[directions.n_gaussian :]),
    )


def _controls(effect: float, controls: Sequence[float]) -> ControlEffects:
    found = spread(controls)
    return ControlEffects(
        n=len(controls), median=found.median, middle=found.middle, percentile=percentile(effect, controls)
    )
