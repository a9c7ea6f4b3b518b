"""A mean difference as tokens: every read at one layer, for each position and for all together, with its controls."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from finetrace.tools.token_lists import TokenList

WITHIN_NOISE = 2.0
"""A norm below so many standard errors is called noise."""
_TINY = 1e-12


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
    """The same reads of the reference's mean activation."""

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

    def lines(self) -> list[str]:
        """Norms, then the lists of the mean over positions beside their controls."""
        mean = self.positions[0]
        norms = ", ".join(_norm(position, self.scale) for position in self.positions)
        lines = [f"layer {self.layer} (depth {self.depth:g}), usual norm {self.scale:.4g}; difference: {norms}"]
        if not any(position.norm for position in self.positions):
            return [f"layer {self.layer} (depth {self.depth:g}): no difference, value for value"]
        for place, found in enumerate(mean.difference):
            at = f" at {found.scale:g} times the usual norm ({found.reason})" if found.scale is not None else ""
            lines.append(f"  {found.read}{at}: {_line(found)}")
            lines.append(f"    controls: random differences: {_first(self.random[place])}")
            lines.append(f"    controls: reference's mean: {_first(mean.reference[place])}")
        return lines

    def position_lines(self) -> list[str]:
        """The lists of single positions."""
        lines = []
        for position in self.positions[1:]:
            if not position.norm:
                continue
            flags = " [attention sink]" if position.sink else " [within noise]" if position.within_noise else ""
            lines.append(f"layer {self.layer}, position {position.position}{flags}")
            lines += [f"  {found.read}: {_line(found)}" for found in position.difference]
        return lines


def _norm(position: PositionRead, scale: float) -> str:
    where = "all ordinary positions" if position.position is None else f"position {position.position}"
    noise = "" if position.noise is None else f" ± {position.noise:.2g}"
    flag = " (sink)" if position.sink else " (within noise)" if position.within_noise else ""
    return f"{where} {position.norm:.3g}{noise} = {position.norm / max(scale, _TINY):.1%}{flag}"


def _line(found: TokenList) -> str:
    return found.line() or "no tokens"


def _first(found: TokenList, n: int = 8) -> str:
    return ", ".join(token.shown for token in found.tokens[:n]) or "no tokens"
