"""A mean difference as tokens: every read at one layer, for each position and for all together, with its controls."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from finetrace.tools.mean_difference import WITHIN_NOISE
from finetrace.tools.token_lists import SHOWN, TokenList

_TINY = 1e-12


class Detail(NamedTuple):
    """How much of each list is shown."""

    tokens: int
    """Of the difference."""
    controls: int
    """Tokens of each control."""
    brief: bool = False
    """One line a read, controls included; of the norms only that of the mean."""

    @property
    def cut(self) -> str:
        """What a reader must know of it; empty where lists are whole."""
        if self.tokens >= SHOWN:
            return ""
        return f"short of room: first {self.tokens} of {SHOWN} tokens of a list, {self.controls} of a control"


FULL = Detail(SHOWN, 8)
DETAILS = (
    FULL,
    Detail(12, 6),
    Detail(12, 4, brief=True),
    Detail(8, 3, brief=True),
    Detail(6, 2, brief=True),
    Detail(4, 2, brief=True),
    Detail(3, 1, brief=True),
)
"""From whole lists to the least that says something."""


class PositionRead(BaseModel):
    """One vector: the difference at one position, or its mean over the ordinary positions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    position: int | None
    """Counted from the first content token; ``None`` for the mean."""
    sink: bool
    """An attention sink: a huge constant state that carries no content."""
    norm: float
    """Length of the difference."""
    noise: float | None
    """Its standard error over texts."""
    agreement: float | None
    """Cosine between the differences of two halves of the texts."""
    difference: tuple[TokenList, ...]
    """One list a read; without tokens where there is no difference."""
    reference: tuple[TokenList, ...]
    """The same reads of the reference's mean activation; under `added` the mean over ordinary positions serves every
    position."""

    @property
    def within_noise(self) -> bool:
        """Whether texts alone could make it."""
        return self.noise is not None and self.norm < WITHIN_NOISE * self.noise


class LayerRead(BaseModel):
    """All that was read at one layer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layer: int
    """Counted from 0."""
    depth: float
    """From 0 (first block) to 1 (last)."""
    scale: float
    """Usual norm of the organism's states here, attention sinks left out."""
    positions: tuple[PositionRead, ...]
    """The mean over ordinary positions first, then the single ones."""
    random: tuple[TokenList, ...]
    """The same reads averaged over differences of random activations: what shows whatever is read."""

    @property
    def starred(self) -> int:
        """Special tokens in the lists of the mean over positions."""
        return sum(token.special for found in self.positions[0].difference for token in found.tokens)

    def lines(self, detail: Detail = FULL) -> list[str]:
        """Norms, then the lists of the mean over positions beside their controls."""
        if detail.brief:
            return self._brief_lines(detail)
        mean = self.positions[0]
        norms = ", ".join(_norm(position, self.scale) for position in self.positions)
        lines = [f"layer {self.layer} (depth {self.depth:g}), usual norm {self.scale:.4g}; difference: {norms}"]
        if not any(position.norm for position in self.positions):
            return [f"layer {self.layer} (depth {self.depth:g}): no difference, value for value"]
        for place, found in enumerate(mean.difference):
            at = f" at {found.scale:g} times the usual norm ({found.reason})" if found.scale is not None else ""
            lines.append(f"  {found.read}{at}: {_line(found, detail)}")
            lines.append(f"    controls: random differences: {_first(self.random[place], detail)}")
            lines.append(f"    controls: reference's mean: {_first(mean.reference[place], detail)}")
        return lines

    def _brief_lines(self, detail: Detail) -> list[str]:
        """One line a read."""
        mean = self.positions[0]
        if not any(position.norm for position in self.positions):
            return [f"layer {self.layer} (depth {self.depth:g}): no difference, value for value"]
        lines = [f"layer {self.layer} (depth {self.depth:g}): {_norm(mean, self.scale)}"]
        for place, found in enumerate(mean.difference):
            at = f" at {found.scale:g}" if found.scale is not None else ""
            random, other = (_first(each[place], detail) for each in (self.random, mean.reference))
            lines.append(f"  {found.read}{at}: {_line(found, detail)} | random: {random} | reference: {other}")
        return lines

    def position_lines(self, detail: Detail = FULL) -> list[str]:
        """The lists of single positions, each beside the reference's; those of random differences are `lines`'."""
        lines = []
        for position in self.positions[1:]:
            if not position.norm:
                continue
            flags = " [attention sink]" if position.sink else " [within noise]" if position.within_noise else ""
            lines.append(f"layer {self.layer}, position {position.position}{flags}; random differences as above")
            for found, other in zip(position.difference, position.reference, strict=True):
                lines.append(f"  {found.read}: {_line(found, detail)}")
                lines.append(f"    control: reference: {_first(other, detail)}")
        return lines


def _norm(position: PositionRead, scale: float) -> str:
    where = "all ordinary positions" if position.position is None else f"position {position.position}"
    noise = "" if position.noise is None else f" ± {position.noise:.2g}"
    flag = " (sink)" if position.sink else " (within noise)" if position.within_noise else ""
    return f"{where} {position.norm:.3g}{noise} = {position.norm / max(scale, _TINY):.1%}{flag}"


def _line(found: TokenList, detail: Detail) -> str:
    return found.line(detail.tokens) or "no tokens"


def _first(found: TokenList, detail: Detail) -> str:
    return ", ".join(token.shown for token in found.tokens[: detail.controls]) or "no tokens"
