"""Is the difference between two arms more than chance: paired permutation over organisms."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from finetrace.evals.zoo.bars import SIGNIFICANT

DRAWS = 2**14 - 1
"""Random sign changes where there are too many units to try all."""
ALL_UP_TO = 14
"""Units up to which every pattern of signs is tried, so that p is exact."""


class PairedTest(BaseModel):
    """Two-sided test that a difference is as likely either way, with the organism as its unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    p_value: float = Field(gt=0, le=1)
    """How often chance alone gives a mean difference at least as great."""
    adjusted: float | None = Field(default=None, gt=0, le=1)
    """The same, corrected by Holm for the number of tests made side by side; ``None`` where it stands alone."""
    n: int = Field(ge=0)
    """Units that both arms have."""
    untied: int = Field(ge=0)
    """Those of them that differ at all."""
    smallest: float = Field(gt=0, le=1)
    """The least p these units could have given; above 0.05 the test could not have found anything."""
    exact: bool
    """Whether every pattern of signs was tried."""

    @property
    def can_reject(self) -> bool:
        """Whether there are units enough to find a difference at all."""
        return self.smallest <= SIGNIFICANT


def paired_permutation(differences: Sequence[float], seed: int = 0) -> PairedTest:
    """Change the sign of each unit's difference at random and see how often the mean is as far from zero.

    With few units every pattern is tried, otherwise ``DRAWS`` of them; p then counts the observed pattern too, so that
    it is never 0.

    Args:
        differences: One arm minus the other, one for each organism.
        seed: Of the draws.
    """
    n = len(differences)
    moved = [difference for difference in differences if abs(difference) > 1e-12]
    exact = len(moved) <= ALL_UP_TO
    smallest = _smallest(len(moved), exact=exact)
    if len(moved) < 2:  # one sign either way: nothing can be told
        return PairedTest(p_value=1.0, n=n, untied=len(moved), smallest=smallest, exact=True)
    import numpy as np
    from scipy.stats import permutation_test

    # Units that do not differ leave every mean as it is, so only the others are drawn.
    tried = permutation_test(
        (np.asarray(moved, dtype=float),),
        np.mean,
        permutation_type="samples",
        n_resamples=2 ** len(moved) if exact else DRAWS,
        rng=np.random.default_rng(seed),
    )
    return PairedTest(p_value=float(tried.pvalue), n=n, untied=len(moved), smallest=smallest, exact=exact)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number by Holm's method, in the order given."""
    adjusted = [1.0] * len(p_values)
    reached = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        reached = max(reached, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = reached
    return adjusted


def adjust(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """The same tests with their corrected p."""
    return [
        test.model_copy(update={"adjusted": p})
        for test, p in zip(tests, holm([test.p_value for test in tests]), strict=True)
    ]


def _smallest(units: int, *, exact: bool) -> float:
    """Two patterns of all, the observed one and its mirror image."""
    return min(1.0, 2 / 2**units if exact else 2 / (DRAWS + 1))
