"""All that is said of a benchmark, in one object: what ``finetrace bench --json`` prints under ``analysis``."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from finetrace.evals.statistics.breakdown import Slice, SliceBy, slices
from finetrace.evals.statistics.comparison import Comparison, InvestigatorFit, compare_arms, ordinal_fits
from finetrace.evals.statistics.conduct import ArmConduct, conduct
from finetrace.evals.statistics.outcome import Measure, Outcome
from finetrace.evals.statistics.results import ArmResult, Unit, arm_results, counts_of

COMPARED = (Measure.SCORE, Measure.DETECTED, Measure.IDENTIFIED_1)
"""What pairs of arms are compared on."""


class Analysis(BaseModel):
    """The statistics of a benchmark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: Unit
    """What every interval and test draws."""
    arms: tuple[ArmResult, ...]
    comparisons: tuple[Comparison, ...]
    by_family: tuple[Comparison, ...]
    """The same with organisms of one truth, such as the steps of a mixing ladder, counted as one; empty where each has
    a truth of its own."""
    ordinal: tuple[InvestigatorFit, ...]
    """By investigator, with the reason where nothing could be fitted."""
    slices: tuple[Slice, ...]
    conduct: tuple[ArmConduct, ...]
    errors: tuple[str, ...]
    """Each run that failed, with its reason: ``organism arm seed: reason``."""


def analyse(outcomes: Sequence[Outcome], unit: Unit = Unit.ORGANISM, seed: int = 0) -> Analysis:
    """Work out every table.

    Args:
        outcomes: Of one benchmark, in the order in which its arms are to be shown.
        unit: Whether organisms with the same truth count one by one or as one.
        seed: Of all draws; the same outcomes and seed give the same figures.
    """
    cuts = [SliceBy.LADDER, SliceBy.TYPE, SliceBy.MIXING, SliceBy.TYPE_AND_MIXING, SliceBy.ORGANISM]
    if any(outcome.regime for outcome in outcomes):
        cuts.append(SliceBy.REGIME)
    failed = {outcome.key: outcome for outcome in outcomes if outcome.error is not None}
    return Analysis(
        unit=unit,
        arms=arm_results(outcomes, unit, seed),
        comparisons=compare_arms(outcomes, COMPARED, unit, seed),
        by_family=_by_family(outcomes, unit, seed),
        ordinal=ordinal_fits(outcomes),
        slices=tuple(each for by in cuts for each in slices(outcomes, by, unit, seed)),
        conduct=conduct(outcomes, seed),
        errors=tuple(f"{run.organism} {run.arm} {run.seed}: {run.error}" for run in failed.values()),
    )


def _by_family(outcomes: Sequence[Outcome], unit: Unit, seed: int) -> tuple[Comparison, ...]:
    """Comparisons of arms with families as the units, where that is another figure."""
    narrow = [outcome for outcome in outcomes if not outcome.null and Measure.SCORE.of(outcome) is not None]
    counts = counts_of(narrow)
    if unit is Unit.FAMILY or counts.families == counts.organisms:
        return ()
    return compare_arms(narrow, COMPARED, Unit.FAMILY, seed)
