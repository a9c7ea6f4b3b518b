"""Published numbers with our own beside them, where our arm stands for theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from finetrace.evals.bench.protocols import Protocol
from finetrace.evals.statistics.analysis import Analysis
from finetrace.evals.statistics.breakdown import Slice, SliceBy
from finetrace.evals.statistics.intervals import Interval
from finetrace.evals.statistics.outcome import Measure
from finetrace.evals.statistics.published import PublishedNumber
from finetrace.evals.statistics.results import ArmResult

_MIXED = "mixed "
"""Before a mixing ratio in place of a regime."""


class Ours(BaseModel):
    """The figure of ours that belongs beside a published one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    investigator: str
    arm: str
    figure: Interval


class Beside(BaseModel):
    """A published number, and ours by investigator; empty where there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    published: PublishedNumber
    ours: tuple[Ours, ...]


def beside(numbers: Sequence[PublishedNumber], protocol: Protocol, analysis: Analysis) -> tuple[Beside, ...]:
    """Each published number with our figure for the same measure and part of the organisms.

    Args:
        numbers: Of the protocol's source.
        protocol: Says which arms stand for which.
        analysis: Ours.
    """
    return tuple(Beside(published=each, ours=tuple(_ours(each, protocol, analysis))) for each in numbers)


def _ours(number: PublishedNumber, protocol: Protocol, analysis: Analysis) -> Iterator[Ours]:
    arms = {
        each.ours
        for each in protocol.counterparts
        if each.theirs == number.arm and each.interactions == number.interactions
    }
    if number.measure not in {measure.value for measure in Measure}:
        return
    for row in _rows(number.regime, analysis):
        figure = row.figures.get(Measure(number.measure))
        if row.arm in arms and figure is not None:
            yield Ours(investigator=row.investigator, arm=row.arm, figure=figure)


def _rows(regime: str, analysis: Analysis) -> Sequence[ArmResult | Slice]:
    """The figures of each arm over that part of the organisms."""
    if not regime:
        return analysis.arms
    ratio = regime.removeprefix(_MIXED)
    by = SliceBy.REGIME if ratio == regime else SliceBy.MIXING
    return [each for each in analysis.slices if each.by is by and each.value == ratio]
