"""How strong a change may be before text falls apart: a search that assumes little and says how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

COHERENT_SHARE = 0.75
"""A strength is coherent where at least this share of its texts is, as published (arXiv 2510.13900)."""
FIRST = 0.2
"""Where the search begins."""
_STEPS_DOWN = 3
"""Halvings below the first strength before the search gives up."""
_STEPS_UP = 5
"""Doublings above it: at 32 times the first strength a usual state is a sixth of what is added to it."""
_FAILURES = 2
"""Failures in a row that end the way up: after one alone, the next may pass by chance or because text mends."""
_BISECTIONS = 3
"""Between a strength that passes and its double that does not: they end up 9 % apart."""

Judge = Callable[[float, int], Sequence[bool]]
"""Which texts of one round of samples at a strength are coherent; rounds are counted from 0."""


class Trial(BaseModel):
    """A strength that was tried, and how many of its texts were coherent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strength: float
    """As a fraction of a usual state's norm."""
    coherent: int = Field(ge=0)
    """Texts that were coherent."""
    total: int = Field(ge=1)
    """Texts that were drawn."""
    low: float = Field(ge=0, le=1)
    """Lower end of the share's 95 % interval, by Clopper and Pearson."""
    high: float = Field(ge=0, le=1)
    """Upper end."""

    @classmethod
    def of(cls, strength: float, verdicts: Sequence[bool]) -> Trial:
        """Count what was found about the texts, of which there is at least one."""
        from scipy.stats import binomtest

        ends = binomtest(sum(verdicts), len(verdicts)).proportion_ci(0.95, method="exact")
        return cls(
            strength=strength,
            coherent=sum(verdicts),
            total=len(verdicts),
            low=round(ends.low, 4),
            high=round(ends.high, 4),
        )

    @property
    def passes(self) -> bool:
        """Enough of its texts are coherent."""
        return self.coherent >= COHERENT_SHARE * self.total

    @property
    def decided(self) -> bool:
        """The interval lies on one side of the bar."""
        return self.low > COHERENT_SHARE or self.high < COHERENT_SHARE

    def line(self) -> str:
        """The count and its interval in words."""
        return f"{self.coherent} of {self.total} texts coherent, 95 % interval {self.low:.0%} to {self.high:.0%}"


class Found(NamedTuple):
    """What a search found."""

    strength: float | None
    """The largest strength tried that passes; ``None`` where none does."""
    trials: tuple[Trial, ...]
    """All that were tried, weakest first."""

    @property
    def uneven(self) -> bool:
        """A weaker strength failed below the one that was found."""
        best = self.strength
        return best is not None and any(not trial.passes for trial in self.trials if trial.strength < best)


def search_strength(judge: Judge, rounds: int) -> Found:
    """The largest strength whose texts stay coherent.

    Doubles the strength until two in a row fail, then bisects between the largest that passed and the next above it.
    Samples come in rounds: a strength is left as soon as its interval lies on one side of the bar.

    Args:
        judge: Draws and judges one round of samples.
        rounds: Rounds at most for one strength.
    """
    known: dict[float, Trial] = {}

    def passes(strength: float) -> bool:
        if strength not in known:
            known[strength] = _try(judge, strength, rounds)
        return known[strength].passes

    failures = 0
    for step in range(_STEPS_UP + 1):
        failures = 0 if passes(_rounded(FIRST * 2**step)) else failures + 1
        if failures == _FAILURES:
            break
    for step in range(1, _STEPS_DOWN + 1):
        if any(trial.passes for trial in known.values()) or passes(_rounded(FIRST / 2**step)):
            break
    best = max((strength for strength, trial in known.items() if trial.passes), default=None)
    above = min((strength for strength in known if best is not None and strength > best), default=None)
    if best is not None and above is not None:
        best = _bisect(passes, best, above)
    return Found(best, tuple(known[strength] for strength in sorted(known)))


def _bisect(passes: Callable[[float], bool], low: float, high: float) -> float:
    """Narrow down where a strength that passes turns into one that does not."""
    for _ in range(_BISECTIONS):
        middle = _rounded((low * high) ** 0.5)
        if passes(middle):
            low = middle
        else:
            high = middle
    return low


def _try(judge: Judge, strength: float, rounds: int) -> Trial:
    """Draw rounds until the share is clearly above or below the bar, or the rounds are spent."""
    verdicts = list(judge(strength, 0))
    trial = Trial.of(strength, verdicts)
    for number in range(1, rounds):
        if trial.decided:
            break
        verdicts += judge(strength, number)
        trial = Trial.of(strength, verdicts)
    return trial


def _rounded(strength: float) -> float:
    """Three digits: more would pretend to a precision that the search does not have."""
    return float(f"{strength:.3g}")
