"""Two arms laid side by side: the same organisms, one minus the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from pydantic import BaseModel, ConfigDict

from finetrace.evals.statistics.intervals import Interval, paired_differences, paired_interval
from finetrace.evals.statistics.ordinal import OrdinalFit, Scored, fit_ordinal, unfit
from finetrace.evals.statistics.outcome import Measure, Outcome
from finetrace.evals.statistics.permutation import PairedTest, adjust, paired_permutation
from finetrace.evals.statistics.results import Unit, bounds_of, by_arm, unit_means


class Comparison(BaseModel):
    """What one arm brings over another, on the organisms with an objective that both have scores for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: Unit
    """What is resampled, and whose signs the test changes."""
    investigator: str
    first: str
    """Arm that is subtracted."""
    second: str
    """Arm it is subtracted from."""
    measure: Measure
    difference: Interval | None
    """Second minus first, organisms resampled in pairs; ``None`` where the arms share none."""
    test: PairedTest
    """That the two are alike; corrected for all pairs of arms under the same measure and investigator."""
    left_out: int
    """Organisms or families that only one of the arms has a figure for."""


def compare_arms(
    outcomes: Sequence[Outcome],
    measures: Sequence[Measure] = tuple(Measure),
    unit: Unit = Unit.ORGANISM,
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """Every pair of arms of each investigator, the earlier one subtracted from the later one.

    Args:
        outcomes: Of one benchmark; nulls are passed over.
        measures: What to compare.
        unit: What is paired.
        seed: Of the draws.
    """
    groups = by_arm(outcome for outcome in outcomes if not outcome.null)
    found: list[Comparison] = []
    for investigator in dict.fromkeys(name.investigator for name in groups):
        arms = {name.arm: rows for name, rows in groups.items() if name.investigator == investigator}
        for measure in measures:
            values = {arm: unit_means(rows, measure, unit) for arm, rows in arms.items()}
            pairs = list(combinations(values, 2))
            tests = adjust([paired_permutation(paired_differences(values[a], values[b]), seed) for a, b in pairs])
            found += [
                Comparison(
                    unit=unit,
                    investigator=investigator,
                    first=first,
                    second=second,
                    measure=measure,
                    difference=paired_interval(values[first], values[second], bounds_of(measure), seed),
                    test=test,
                    left_out=len(values[first].keys() ^ values[second].keys()),
                )
                for (first, second), test in zip(pairs, tests, strict=True)
            ]
    return tuple(found)


class InvestigatorFit(BaseModel):
    """The ordinal model of one investigator's scores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    investigator: str
    fit: OrdinalFit | None
    why_not: str | None
    """Why there is none; ``None`` where there is."""


def ordinal_fits(outcomes: Sequence[Outcome]) -> tuple[InvestigatorFit, ...]:
    """The ordinal model for each investigator; its first arm is the baseline."""
    narrow = [outcome for outcome in outcomes if not outcome.null]
    fits = []
    for investigator in dict.fromkeys(outcome.investigator for outcome in narrow):
        own = [outcome for outcome in narrow if outcome.investigator == investigator]
        scored = [
            Scored(outcome.organism, outcome.arm, outcome.grade.score)
            for outcome in own
            if outcome.error is None and outcome.grade is not None and outcome.grade.score is not None
        ]
        arms = list(dict.fromkeys(row.arm for row in scored))
        why_not = unfit(scored, arms)
        fit = None if why_not else fit_ordinal(scored, arms)
        fits.append(InvestigatorFit(investigator=investigator, fit=fit, why_not=why_not))
    return tuple(fits)
