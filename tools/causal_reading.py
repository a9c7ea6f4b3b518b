"""What a causal check found: a table of changes of the cross-entropy, each beside its controls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from finetrace.models.pair import Side
from finetrace.tools.effects import Interval
from finetrace.tools.reading import Reading, bounded

NO_DIFFERENCE = "no difference: both models give the same activations here, so there is nothing to swap or remove"


class TextKind(StrEnum):
    """What the losses were taken on."""

    GENERAL = "general"
    """Text that has nothing to do with the finetuning."""
    FILE = "file"
    """Text that the user gave."""


class Operation(StrEnum):
    """What is done to the component along the direction."""

    ORGANISM_SWAPPED = "organism_swapped"
    REFERENCE_SWAPPED = "reference_swapped"
    ORGANISM_REMOVED = "organism_removed"
    REFERENCE_REMOVED = "reference_removed"

    @property
    def side(self) -> Side:
        """The model whose states are changed and whose loss is taken."""
        return Side.ORGANISM if self in (Operation.ORGANISM_SWAPPED, Operation.ORGANISM_REMOVED) else Side.REFERENCE

    @property
    def removes(self) -> bool:
        """The component is set to zero, instead of to the other model's."""
        return self in (Operation.ORGANISM_REMOVED, Operation.REFERENCE_REMOVED)


class TextLosses(BaseModel):
    """Both models as they are, on one kind of text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: TextKind
    n_texts: int
    """Texts with a token that is scored."""
    n_tokens: int
    """Tokens scored."""
    organism: float
    """Cross-entropy, nats per token."""
    reference: float
    """Cross-entropy, nats per token."""
    gap: Interval | None
    """95 % interval of organism minus reference, bootstrap over texts; absent for a single text."""
    noise: float
    """Largest difference between two evaluations of one model on the same states, nats per token."""

    def line(self) -> str:
        """In one line."""
        gap = f"{self.organism - self.reference:+.4f}{_range(self.gap)}"
        return (
            f"{self.kind} text: {self.n_texts} texts, {self.n_tokens} tokens scored; cross-entropy of the organism "
            f"{self.organism:.4f}, of the reference {self.reference:.4f}, difference {gap} nats per token; numerical "
            f"noise {self.noise:.4f} nats per token"
        )


class ControlEffects(BaseModel):
    """The same operation along directions that have nothing to do with the finetuning."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int
    """How many directions."""
    median: float
    """Of their changes, nats per token."""
    middle: Interval
    """The middle 95 % of their changes, nats per token."""
    percentile: float
    """Share of them whose change is below the effect, per cent; ties count half."""


class ComponentEffect(BaseModel):
    """One operation on one kind of text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: TextKind
    operation: Operation
    delta: float
    """Cross-entropy with the component changed, less without, nats per token."""
    interval: Interval | None
    """95 % of it, bootstrap over texts; absent for a single text."""
    relative: float | None
    """``delta`` as a share of the way from this model's cross-entropy to the other's; absent where the two are not
    surely apart."""
    relative_interval: Interval | None
    """95 % of it, bootstrap over texts of both together; absent where there is none."""
    gaussian: ControlEffects
    """Random directions."""
    differences: ControlEffects
    """Differences of two random activations of the reference."""


_SAYS = {
    Operation.ORGANISM_SWAPPED: "organism, component of the reference",
    Operation.REFERENCE_SWAPPED: "reference, component of the organism",
    Operation.ORGANISM_REMOVED: "organism, component removed",
    Operation.REFERENCE_REMOVED: "reference, component removed",
}
_COLUMNS = (
    "text",
    "model and change",
    "change of loss [95 %]",
    "relative [95 %]",
    "percentile in differences",
    "differences: median [95 %]",
    "percentile in Gaussian",
    "Gaussian: median [95 %]",
)


class CausalCheckReading(Reading):
    """Effects of the difference direction on the losses of both models."""

    layer: int
    """Counted from 0."""
    n_layers: int
    """Blocks of the models."""
    position: int | None
    """Token position whose difference gives the direction; absent for the mean over ordinary positions."""
    n_texts: int
    """General texts the difference was measured on; 0 where it was not."""
    identical: bool
    """The two models do not differ at this layer: nothing was measured."""
    losses: tuple[TextLosses, ...] = ()
    """One for each kind of text."""
    effects: tuple[ComponentEffect, ...] = ()
    """By kind of text, then in the order asked."""
    notes: tuple[str, ...] = ()
    """What a reader must know."""

    def render(self, limit: int = 6000) -> str:
        """What was changed, the losses as they are, the table."""
        where = f"layer {self.layer} of {self.n_layers} (counted from 0)"
        if self.identical:
            return bounded([f"{where}: {NO_DIFFERENCE}", *self._notes()], limit)
        place = "mean over ordinary positions" if self.position is None else f"position {self.position}"
        head = f"{where}, direction: difference over {self.n_texts} general texts, {place}"
        return bounded([head, *(found.line() for found in self.losses), *self.table(), *self._notes()], limit)

    def _notes(self) -> list[str]:
        return [f"note: {note}" for note in self.notes]

    def table(self) -> list[str]:
        """The effects in aligned columns."""
        if not self.effects:
            return []
        title = "changes of the cross-entropy in nats per token, relative and percentiles in %:"
        return [title, *_aligned([_COLUMNS, *map(_cells, self.effects)])]

    def quotable(self) -> Iterator[str]:
        """The lines of the table and of the losses; no model wrote any of them."""
        yield from (found.line() for found in self.losses)
        yield from self.table()


def _cells(effect: ComponentEffect) -> tuple[str, ...]:
    return (
        effect.kind,
        _SAYS[effect.operation],
        f"{effect.delta:+.4f}{_range(effect.interval)}",
        _share(effect.relative, effect.relative_interval),
        f"{effect.differences.percentile:.1f} %",
        f"{effect.differences.median:+.4f}{_range(effect.differences.middle)}",
        f"{effect.gaussian.percentile:.1f} %",
        f"{effect.gaussian.median:+.4f}{_range(effect.gaussian.middle)}",
    )


def _range(interval: Interval | None) -> str:
    return "" if interval is None else f" [{interval.low:+.4f}, {interval.high:+.4f}]"


def _share(value: float | None, interval: Interval | None) -> str:
    if value is None or interval is None:
        return "none"
    return f"{100 * value:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
