"""What `steer` hands back: steered beside unsteered text, and how the strength came about."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from finetrace.models.pair import Side
from finetrace.tools.reading import Reading, bounded, one_line
from finetrace.tools.steer_prompts import PromptKind
from finetrace.tools.strength_search import COHERENT_SHARE, Trial

NO_DIFFERENCE = "no difference: nothing to steer with"
_LONGEST = 600
_SHORTEST = 60
"""Characters of a text that are shown, at most and at least: all prompts come in before any text is shown whole."""
_STEERED_SHARE = 0.7
"""Of the room for an exchange; the unsteered texts are for comparison only."""


class SteeredPhrase(BaseModel):
    """A phrase that marks steered text off from unsteered text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    """Lower-case words."""
    steered: int
    """Steered texts that hold it."""
    unsteered: int
    """Unsteered texts that hold it."""
    score: float
    """Log odds ratio with an informative prior, in standard errors."""


class SteeredExchange(BaseModel):
    """One prompt with what came back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: PromptKind
    """How much it leaves open."""
    prompt: str
    """As it was worded."""
    steered: tuple[str, ...]
    """Texts written with the difference added."""
    coherent: tuple[bool, ...]
    """Which of them hold together."""
    unsteered: tuple[str, ...]
    """Texts written without it, drawn with the same random numbers."""


class SteerReading(Reading):
    """Steered beside unsteered text at one strength."""

    on: Side
    """Whose text it is."""
    layer: int
    """Where the difference was added, counted from 0."""
    n_layers: int
    """Blocks of the model."""
    position: int | None
    """Whose difference it is; ``None`` for the mean over the ordinary positions."""
    identical: bool
    """The activations are the same, value for value: there is nothing to add."""
    strength: float | None = None
    """As a fraction of the usual norm of a state; ``None`` where no strength was coherent."""
    searched: bool
    """The strength was searched for rather than given."""
    trials: tuple[Trial, ...] = ()
    """Strengths that the search tried, weakest first."""
    rule: str = ""
    """What counted as coherent."""
    final: Trial | None = None
    """How many of the texts shown are coherent; the search did not see them."""
    n_unsteered: int = 0
    """Unsteered texts shown."""
    phrases: tuple[SteeredPhrase, ...] = ()
    """What steered texts say more often than unsteered ones, strongest first."""
    exchanges: tuple[SteeredExchange, ...] = ()
    """Prompt by prompt."""
    notes: tuple[str, ...] = ()
    """What a reader must know."""

    def render(self, limit: int = 6000) -> str:
        """Strength and how it was found, phrases, then the texts."""
        where = "the mean over positions" if self.position is None else f"position {self.position}"
        head = f"difference at {where} added to the {self.on} after layer {self.layer} of 0 to {self.n_layers - 1}"
        if self.identical:
            return bounded([head, NO_DIFFERENCE, *self._notes()], limit)
        lines = [head, *self._strength(), *self._notes()]
        if self.final is not None:
            total = self.final.total
            lines += [
                f"«{one_line(p.text, 100)}»: {p.steered} of {total} steered, {p.unsteered} of {self.n_unsteered} "
                f"unsteered texts, z {p.score:.1f}"
                for p in self.phrases
            ] or ["no phrase marks the steered texts off"]
        room = limit - sum(len(line) + 1 for line in lines)
        for exchange in self.exchanges:
            lines += _exchange_lines(exchange, room // len(self.exchanges))
        return bounded(lines, limit)

    def _strength(self) -> list[str]:
        """The strength, what was tried for it, and how the texts shown fared."""
        tried = [f"  strength {trial.strength:g}: {trial.line()}" for trial in self.trials]
        if self.strength is None:
            return [f"no coherent strength found: none reached {COHERENT_SHARE:.0%} coherent texts", *tried, self.rule]
        how = f"the largest found with {COHERENT_SHARE:.0%} coherent texts" if self.searched else "as asked"
        lines = [f"strength {self.strength:g} of a usual state's norm, {how}"]
        if self.final is not None:
            lines.append(f"the texts below: {self.final.line()}")
        return [*lines, *tried, self.rule]

    def _notes(self) -> list[str]:
        return [f"note: {note}" for note in self.notes]

    def quotable(self) -> Iterator[str]:
        """All texts, whole, the steered ones first; then the phrases."""
        for exchange in self.exchanges:
            yield from exchange.steered
        for exchange in self.exchanges:
            yield from exchange.unsteered
        for phrase in self.phrases:
            yield phrase.text


def _exchange_lines(exchange: SteeredExchange, room: int) -> list[str]:
    """The prompt and its texts, cut so that they take about ``room`` characters."""
    lines = [f"{exchange.kind}: {one_line(exchange.prompt, 100)}"]
    marks = 35 * (len(exchange.steered) + len(exchange.unsteered))  # what stands around the texts
    room -= len(lines[0]) + marks
    own = _characters(_STEERED_SHARE * room, len(exchange.steered))
    for i, (text, coherent) in enumerate(zip(exchange.steered, exchange.coherent, strict=True), 1):
        lines.append(f"  steered {i}{'' if coherent else ' [incoherent]'}: {one_line(text, own)}")
    other = _characters((1 - _STEERED_SHARE) * room, len(exchange.unsteered))
    return lines + [f"  unsteered {i}: {one_line(text, other)}" for i, text in enumerate(exchange.unsteered, 1)]


def _characters(room: float, texts: int) -> int:
    return max(_SHORTEST, min(_LONGEST, int(room / max(1, texts))))
