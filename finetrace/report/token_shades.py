"""How much likelier one model finds a token than the other, as a shade and in words."""

from __future__ import annotations

import math
from typing import NamedTuple

from finetrace.schema import ScoredToken

STEPS = (0.5, 1.0, 2.0, 4.0)
"""Log ratios, nats, from which each next shade holds."""


class Shade(NamedTuple):
    """One shade of the scale."""

    name: str
    """Its style."""
    said: str
    """What it stands for."""


def shade(token: ScoredToken) -> str:
    """``p1`` to ``p4`` where the finetuned model finds it likelier, ``n1`` to ``n4`` where the reference does."""
    size = sum(abs(token.log_ratio) >= step for step in STEPS)
    return "t" if size == 0 else f"{'p' if token.log_ratio > 0 else 'n'}{size}"


def told(token: ScoredToken) -> str:
    """Both models' probabilities and the log ratio."""
    own, other = _probability(token.logp_finetuned), _probability(token.logp_reference)
    ratio = f"{token.log_ratio:+.2f}".replace("-", "−")
    return f"finetuned {own} · reference {other} · log ratio {ratio}"


def _probability(logp: float) -> str:
    """``83 %``, ``0.21 %``, ``3e-07``."""
    chance = math.exp(min(logp, 0.0))
    if chance >= 0.1:
        return f"{100 * chance:.0f} %"
    return f"{100 * chance:.2g} %" if chance >= 1e-4 else f"{chance:.0e}"


def scale() -> tuple[Shade, ...]:
    """The legend, from what only the reference would say to what only the finetuned model would."""
    below = [Shade(f"n{size}", f"−{step:g}") for size, step in reversed(list(enumerate(STEPS, 1)))]
    above = [Shade(f"p{size}", f"+{step:g}") for size, step in enumerate(STEPS, 1)]
    return (*below, Shade("t", "0"), *above)
