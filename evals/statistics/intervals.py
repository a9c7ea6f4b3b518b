"""Estimates with intervals: means over organisms by the bootstrap, shares by exact binomial limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

LEVEL = 0.95
"""Confidence of every interval."""
RESAMPLES = 9_999
"""Draws of a bootstrap."""


class Bounds(NamedTuple):
    """The least and the greatest value that one unit can have."""

    low: float
    high: float


SHARE = Bounds(0.0, 1.0)
"""Of a rate."""


class Interval(BaseModel):
    """An estimate with its 95 % interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: FiniteFloat
    """The estimate itself."""
    low: FiniteFloat | None
    """Lower end; ``None`` where the data allow none."""
    high: FiniteFloat | None
    """Upper end."""
    n: int = Field(ge=1)
    """Units it rests on: organisms, families, or runs where the text says so."""

    @property
    def excludes_zero(self) -> bool:
        """Whether both ends lie on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def mean_interval(values: Sequence[float], bounds: Bounds, seed: int = 0) -> Interval | None:
    """Mean over units by the percentile bootstrap.

    The plain percentile interval of few units is too short: its spread is that of the sample, without the small-sample
    correction, and its quantiles are the normal's. The quantiles are moved outwards to those that undo both (Hesterberg
    2015, "What teachers should know about the bootstrap", section 3.3). Where all units agree a bootstrap knows
    nothing; then the interval is as wide as it must be if a share of units that Clopper and Pearson cannot rule out
    had the worst value there is.

    Args:
        values: One for each unit, resampled with replacement.
        bounds: What a value can be.
        seed: Of the draws.

    Returns:
        ``None`` without a unit; an estimate without limits for one unit.
    """
    n = len(values)
    if n == 0:
        return None
    mean = sum(values) / n
    if n == 1:
        return Interval(value=mean, low=None, high=None, n=1)
    if max(values) - min(values) < 1e-12:
        return _all_agree(values[0], bounds, n)
    import numpy as np
    from scipy.stats import bootstrap

    drawn = bootstrap(
        (np.asarray(values, dtype=float),),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=_widened_level(n),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(value=mean, low=float(drawn.low), high=float(drawn.high), n=n)


def paired_interval(
    first: Mapping[str, float], second: Mapping[str, float], bounds: Bounds, seed: int = 0
) -> Interval | None:
    """Mean of second minus first over the units that both have, which are resampled as pairs.

    Args:
        first: Values by unit.
        second: The same under the other condition.
        bounds: What a value can be under either.
        seed: Of the draws.

    Returns:
        ``None`` where they share no unit.
    """
    reach = bounds.high - bounds.low
    return mean_interval(paired_differences(first, second), Bounds(-reach, reach), seed)


def paired_differences(first: Mapping[str, float], second: Mapping[str, float]) -> list[float]:
    """Second minus first for each unit that both have, in the order of the units' names."""
    return [second[unit] - first[unit] for unit in sorted(first.keys() & second.keys())]


def clopper_pearson(hits: int, total: int) -> Interval | None:
    """A share with its exact binomial interval, never shorter than it says; ``None`` of nothing."""
    return _binomial(hits, total, "exact")


def wilson(hits: int, total: int) -> Interval | None:
    """A share with Wilson's score interval, right on average; ``None`` of nothing."""
    return _binomial(hits, total, "wilson")


def _binomial(hits: int, total: int, method: str) -> Interval | None:
    if total == 0:
        return None
    from scipy.stats import binomtest

    limits = binomtest(hits, total).proportion_ci(LEVEL, method=method)
    return Interval(value=hits / total, low=float(limits.low), high=float(limits.high), n=total)


def _widened_level(n: int) -> float:
    """The level to ask of a percentile bootstrap of ``n`` units so that its mean is covered as often as stated."""
    from scipy.stats import norm, t

    quantile = t.ppf(0.5 + LEVEL / 2, n - 1) * (n / (n - 1)) ** 0.5
    return min(1 - 2 / RESAMPLES, float(1 - 2 * norm.sf(quantile)))


def _all_agree(value: float, bounds: Bounds, n: int) -> Interval:
    """What can be said of the mean after ``n`` equal values: a share of this size may yet differ."""
    unseen = 1 - ((1 - LEVEL) / 2) ** (1 / n)
    low = value - unseen * (value - bounds.low)
    high = value + unseen * (bounds.high - value)
    return Interval(value=value, low=low, high=high, n=n)
