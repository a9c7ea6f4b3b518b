"""An ordinal model of scores: arms as effects on the log odds of a higher score, organisms as random intercepts.

Why random and not one fixed effect for each organism: an organism that scores 1 in every run has no finite effect of
its own, and with a parameter for each organism the arms' effects are overstated. Why limits from the spread between
organisms and not from the likelihood: a tool helps with some organisms and not with others, so that the seeds of one
organism agree more than the model allows, and the likelihood's own limits would count them as independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from finetrace.evals.statistics.intervals import LEVEL

_NODES = np.linspace(-6.0, 6.0, 81)
"""Organism effects in standard deviations. An even grid sums a smooth bell to far more digits than are shown, and stays
fine, unlike as many Gauss-Hermite nodes, where an organism with many runs has a narrow likelihood."""
_LOG_WEIGHTS = -0.5 * _NODES**2 - np.log(np.exp(-0.5 * _NODES**2).sum())
_EFFECT_SPREAD = 10.0
"""Weak normal prior on log odds: keeps an effect finite where one arm is always best."""
_SPREAD_SPREAD = 2.0
"""The same on the logarithm of the organisms' standard deviation."""
_EXTREME = 7.0
"""Log odds from which an effect says no more than which arm is the better one."""
_FEWEST = 3
"""Organisms below which nothing is fitted."""
_LEAST = 1e-300

Floats = NDArray[np.float64]


class Scored(NamedTuple):
    """One score."""

    organism: str
    arm: str
    score: int


class OrdinalEffect(BaseModel):
    """How an arm differs from the first one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    arm: str
    """Which arm."""
    log_odds: FiniteFloat
    """Of a higher score, against the baseline, for the same organism; positive is better."""
    low: FiniteFloat
    """Lower end of the 95 % interval."""
    high: FiniteFloat
    """Upper end."""
    p_value: float = Field(ge=0, le=1)
    """Two-sided, that there is no effect."""
    extreme: bool
    """Whether the arms hardly overlap, so that the size means nothing beyond its sign."""


class OrdinalFit(BaseModel):
    """The fitted model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    baseline: str
    """Arm that the others are compared with."""
    effects: tuple[OrdinalEffect, ...]
    """Every other arm, in the order given."""
    levels: tuple[int, ...]
    """Scores that occur; those that do not are left out of the model."""
    organism_sd: FiniteFloat
    """How far organisms differ in difficulty, on the scale of the log odds."""
    organisms: int
    """How many were scored."""
    scores: int
    """How many scores."""
    converged: bool
    """Whether the fit settled; figures of one that did not are not to be used."""


def unfit(scored: Iterable[Scored], arms: Sequence[str]) -> str | None:
    """Why there is nothing to fit to these scores; ``None`` where there is. Arguments as `fit_ordinal`."""
    rows = [row for row in scored if row.arm in arms]
    if not any(row.arm == arms[0] for row in rows):
        return "the arm to compare with has no score"
    if len({row.arm for row in rows}) < 2:
        return "only one arm has scores"
    if (organisms := len({row.organism for row in rows})) < _FEWEST:
        return f"{organisms} organisms have scores, {_FEWEST} are needed"
    return "all scores are the same" if len({row.score for row in rows}) < 2 else None


def fit_ordinal(scored: Iterable[Scored], arms: Sequence[str]) -> OrdinalFit | None:
    """Fit the model to scores of several arms.

    Args:
        scored: Scores; those of other arms are passed over.
        arms: The baseline, then the arms to compare with it.

    Returns:
        ``None`` where there is nothing to fit; `unfit` says why.
    """
    rows = [row for row in scored if row.arm in arms]
    if unfit(rows, arms) is not None:
        return None
    present = [arm for arm in dict.fromkeys(arms) if any(row.arm == arm for row in rows)]
    levels = sorted({row.score for row in rows})
    organisms = sorted({row.organism for row in rows})
    counts = np.zeros((len(organisms), len(present), len(levels)))
    for row in rows:
        counts[organisms.index(row.organism), present.index(row.arm), levels.index(row.score)] += 1
    model = _Model(counts)
    solution = model.solve()
    return OrdinalFit(
        baseline=present[0],
        effects=tuple(_effect(arm, model, solution, place) for place, arm in enumerate(present[1:])),
        levels=tuple(levels),
        organism_sd=float(np.exp(solution.theta[-1])),
        organisms=len(organisms),
        scores=len(rows),
        converged=solution.converged,
    )


class _Solution(NamedTuple):
    theta: Floats
    covariance: Floats
    converged: bool


class _Point(NamedTuple):
    """The model at one set of parameters: log likelihood by organism, and its slopes."""

    logs: Floats
    slopes: Floats


class _Model:
    """Cumulative logit with a normal intercept for each organism.

    Parameters: the first cut point, the logarithms of the steps to the next ones, the effects of all arms but the
    first, and the logarithm of the intercepts' standard deviation.

    Args:
        counts: Scores by organism, arm and level.
    """

    def __init__(self, counts: Floats) -> None:
        self._counts = counts
        self.organisms, self._arms, self._levels = counts.shape
        self.first_effect = self._levels - 1

    @cached_property
    def _penalty(self) -> Floats:
        """Precision of the weak prior of each parameter."""
        weights = np.zeros(self.first_effect + self._arms)
        weights[self.first_effect : -1] = _EFFECT_SPREAD**-2
        weights[-1] = _SPREAD_SPREAD**-2
        return weights

    def solve(self) -> _Solution:
        """The best parameters and their covariance, from the spread of the organisms' slopes (sandwich)."""
        from scipy.optimize import minimize

        def loss(theta: Floats) -> tuple[float, Floats]:
            point = self._at(theta)
            value = -point.logs.sum() + 0.5 * (self._penalty * theta**2).sum()
            return float(value), -point.slopes.sum(axis=0) + self._penalty * theta

        found = minimize(loss, self._start(), jac=True, method="BFGS", options={"gtol": 1e-4, "maxiter": 500})
        theta = np.asarray(found.x)
        step = 1e-4
        bent = np.stack(
            [(loss(theta + step * unit)[1] - loss(theta - step * unit)[1]) / (2 * step) for unit in np.eye(len(theta))]
        )
        bread = np.linalg.pinv((bent + bent.T) / 2)
        slopes = self._at(theta).slopes
        meat = slopes.T @ slopes * self.organisms / (self.organisms - 1)
        settled = bool(found.success) or float(np.abs(loss(theta)[1]).max()) < 1e-2
        return _Solution(theta, bread @ meat @ bread, settled)

    def _start(self) -> Floats:
        """Cut points of the pooled scores, no effects, organisms that differ by one."""
        shares = np.cumsum(self._counts.sum(axis=(0, 1)) + 0.5)
        cuts = np.log(shares[:-1] / (shares[-1] - shares[:-1]))
        return np.concatenate([cuts[:1], np.log(np.diff(cuts)), np.zeros(self._arms)])

    def _at(self, theta: Floats) -> _Point:
        steps, sd = np.exp(theta[1 : self.first_effect]), np.exp(theta[-1])
        cuts = theta[0] + np.concatenate([[0.0], np.cumsum(steps)])
        shift = np.concatenate([[0.0], theta[self.first_effect : -1]])[:, None] + sd * _NODES
        below = 1 / (1 + np.exp(np.clip(shift[:, :, None] - cuts, -500, 500)))
        edge = np.zeros((*shift.shape, 1))
        cumulative = np.concatenate([edge, below, edge + 1], axis=2)
        shares = np.maximum(np.diff(cumulative, axis=2), _LEAST)
        logs = np.einsum("oak,aqk->oq", self._counts, np.log(shares)) + _LOG_WEIGHTS
        top = logs.max(axis=1, keepdims=True)
        weights = np.exp(logs - top)
        total = weights.sum(axis=1, keepdims=True)
        weights /= total
        # The slope of log(F_k - F_j) in the linear predictor is F_k + F_j - 1 for the logistic function.
        pull = np.einsum("oak,aqk->oaq", self._counts, cumulative[:, :, 1:] + cumulative[:, :, :-1] - 1)
        by_arm = np.einsum("oaq,oq->oa", pull, weights)
        by_sd = sd * np.einsum("oaq,oq,q->o", pull, weights, _NODES)
        density = below * (1 - below)
        up = np.einsum("oak,aqk,oq->ok", self._counts[:, :, :-1], density / shares[:, :, :-1], weights)
        down = np.einsum("oak,aqk,oq->ok", self._counts[:, :, 1:], density / shares[:, :, 1:], weights)
        # A step moves its own cut point and all that lie above it.
        tails = np.cumsum((up - down)[:, ::-1], axis=1)[:, ::-1]
        by_cut = tails * np.concatenate([[1.0], steps])
        slopes = np.concatenate([by_cut, by_arm[:, 1:], by_sd[:, None]], axis=1)
        return _Point((np.log(total) + top)[:, 0], slopes)


def _effect(arm: str, model: _Model, solution: _Solution, place: int) -> OrdinalEffect:
    from scipy.stats import t

    index = model.first_effect + place
    value = float(solution.theta[index])
    error = float(np.sqrt(max(solution.covariance[index, index], 1e-12)))
    freedom = model.organisms - 1
    reach = float(t.ppf(0.5 + LEVEL / 2, freedom)) * error
    return OrdinalEffect(
        arm=arm,
        log_odds=value,
        low=value - reach,
        high=value + reach,
        p_value=float(2 * t.sf(abs(value) / error, freedom)),
        extreme=abs(value) > _EXTREME,
    )
