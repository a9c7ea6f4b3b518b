"""How large an effect is, how sure, and how it stands among controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 2000
_TAILS = (2.5, 97.5)


class Interval(NamedTuple):
    """A range that holds the middle 95 %."""

    low: float
    high: float

    def covers(self, value: float) -> bool:
        """Whether ``value`` lies in it."""
        return self.low <= value <= self.high


class Spread(NamedTuple):
    """What a set of controls gave."""

    median: float
    middle: Interval
    """2.5 to 97.5 %."""


def bootstrap(sums: Sequence[float], counts: Sequence[float], seed: int) -> Interval | None:
    """95 % interval of ``Σ sums / Σ counts`` when the texts are drawn anew; ``None`` for fewer than two texts.

    Args:
        sums: One sum over its tokens for each text.
        counts: Tokens of each text, at least 1; or what else the sum is a share of, whose own sum is surely not 0.
        seed: Determines the draws: the same texts are drawn for the same seed and number of texts.
    """
    if len(sums) < 2:
        return None
    drawn = np.random.default_rng(seed).integers(len(sums), size=(_RESAMPLES, len(sums)))
    means = np.asarray(sums, dtype=np.float64)[drawn].sum(1) / np.asarray(counts)[drawn].sum(1)
    low, high = np.percentile(means, _TAILS)
    return Interval(float(low), float(high))


def percentile(value: float, controls: Sequence[float]) -> float:
    """Share of the controls below ``value``, in per cent; those equal to it count half."""
    values: NDArray[np.float64] = np.asarray(controls, dtype=np.float64)
    return 100 * float((values < value).sum() + (values == value).sum() / 2) / len(values)


def spread(controls: Sequence[float]) -> Spread:
    """Median and middle 95 % of what the controls gave."""
    low, median, high = np.percentile(np.asarray(controls, dtype=np.float64), (_TAILS[0], 50, _TAILS[1]))
    return Spread(float(median), Interval(float(low), float(high)))
