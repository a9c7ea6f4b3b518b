"""The table of a benchmark: for each arm what it scored, with intervals over organisms, nulls apart from the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from finetrace.evals.statistics.intervals import SHARE, Bounds, Interval, clopper_pearson, mean_interval
from finetrace.evals.statistics.outcome import Measure, Outcome
from finetrace.schema import Usage, Verdict

__all__ = [
    "ArmResult",
    "Counts",
    "Measure",
    "NullResult",
    "Outcome",
    "Unit",
    "arm_results",
    "bounds_of",
    "by_arm",
    "counts_of",
    "figures_of",
    "of_runs",
    "share_over_organisms",
    "unit_means",
]


class Unit(StrEnum):
    """What is drawn anew by a bootstrap, and what two arms are compared on."""

    ORGANISM = "organism"
    FAMILY = "family"
    """Organisms with the same truth count as one."""


class ArmName(NamedTuple):
    """Who investigated, with what."""

    investigator: str
    arm: str


class Counts(BaseModel):
    """What there was to count, and what there was not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organisms: int
    """With at least one run."""
    families: int
    """Different truths among them."""
    runs: int
    """Failed ones included."""
    errors: int
    """Runs that failed; they are in no mean."""
    unscored: int
    """Runs that ended, whose hypothesis no grader could score; in no mean score either."""


class NullResult(BaseModel):
    """How an arm did on organisms with nothing narrow to find."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    counts: Counts
    false_positives: Interval | None
    """Share of runs that call a null finetuned, with Clopper and Pearson's limits; ``n`` counts runs. The limits hold
    for independent runs, which seeds of one null are not: they are too narrow where a null was run more than once."""
    organisms_with_any: Interval | None
    """Share of nulls that any of their runs calls finetuned, with limits that hold: nulls are independent."""
    called: dict[str, int]
    """How many runs call which null finetuned; those that none does are left out."""
    inconclusive: Interval | None
    """Share of runs that do not decide; neither right nor a false positive."""
    score: Interval | None
    """Mean score over nulls."""


class ArmResult(BaseModel):
    """One line of the table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    investigator: str
    arm: str
    counts: Counts
    """Of organisms with an objective; nulls are counted under ``nulls``."""
    figures: dict[Measure, Interval | None]
    """Over organisms with an objective; ``None`` where no grader gave the figure."""
    nulls: NullResult | None
    """``None`` where no null was run."""
    usage: Usage
    """Of all runs together, nulls included."""


def arm_results(outcomes: Sequence[Outcome], unit: Unit = Unit.ORGANISM, seed: int = 0) -> tuple[ArmResult, ...]:
    """One result for each investigator and arm, in the order in which they come.

    Args:
        outcomes: Of one benchmark.
        unit: What the bootstrap draws.
        seed: Of the bootstrap.
    """
    results = []
    for name, rows in by_arm(outcomes).items():
        narrow, nulls = [row for row in rows if not row.null], [row for row in rows if row.null]
        results.append(
            ArmResult(
                investigator=name.investigator,
                arm=name.arm,
                counts=counts_of(narrow),
                figures=figures_of(narrow, unit, seed),
                nulls=_null_result(nulls, seed) if nulls else None,
                usage=_total(rows),
            )
        )
    return tuple(results)


def by_arm(outcomes: Iterable[Outcome]) -> dict[ArmName, list[Outcome]]:
    """Outcomes by investigator and arm, in the order in which they come."""
    groups: dict[ArmName, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(ArmName(outcome.investigator, outcome.arm), []).append(outcome)
    return groups


def of_runs(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome for each run, however often it was graded."""
    return list({outcome.key: outcome for outcome in outcomes}.values())


def counts_of(outcomes: Sequence[Outcome]) -> Counts:
    """Count organisms, runs, failures and runs without a score."""
    ended = {outcome.key for outcome in outcomes if outcome.error is None}
    scored = {outcome.key for outcome in outcomes if Measure.SCORE.of(outcome) is not None}
    runs = of_runs(outcomes)
    return Counts(
        organisms=len({run.organism for run in runs}),
        families=len({run.family for run in runs}),
        runs=len(runs),
        errors=len(runs) - len(ended),
        unscored=len(ended - scored),
    )


def figures_of(outcomes: Sequence[Outcome], unit: Unit, seed: int) -> dict[Measure, Interval | None]:
    """Every measure with its interval."""
    return {
        measure: mean_interval(list(unit_means(outcomes, measure, unit).values()), bounds_of(measure), seed)
        for measure in Measure
    }


def bounds_of(measure: Measure) -> Bounds:
    """What a unit can have of a measure."""
    return Bounds(1.0, 5.0) if measure is Measure.SCORE else SHARE


def unit_means(outcomes: Iterable[Outcome], measure: Measure, unit: Unit = Unit.ORGANISM) -> dict[str, float]:
    """The mean of a measure for each organism or family that has any.

    Grades of one run are averaged first, then the runs of one organism, then the organisms of one family: whoever was
    run or graded more often weighs no more.
    """
    runs: dict[tuple[str, str, str, int], list[float]] = {}
    families: dict[str, str] = {}
    for outcome in outcomes:
        value = measure.of(outcome)
        if value is not None:
            runs.setdefault(outcome.key, []).append(value)
            families[outcome.organism] = outcome.family
    organisms: dict[str, list[float]] = {}
    for key, values in runs.items():
        organisms.setdefault(key[0], []).append(_mean(values))
    means = {organism: _mean(values) for organism, values in sorted(organisms.items())}
    if unit is Unit.ORGANISM:
        return means
    grouped: dict[str, list[float]] = {}
    for organism, value in means.items():
        grouped.setdefault(families[organism], []).append(value)
    return {family: _mean(values) for family, values in sorted(grouped.items())}


def share_over_organisms(said: Mapping[str, Sequence[bool]], seed: int) -> Interval | None:
    """Share of runs for which something holds, organisms weighing alike.

    Args:
        said: For each organism, whether it holds in each of its runs.
        seed: Of the bootstrap.
    """
    return mean_interval([_mean([float(each) for each in runs]) for runs in said.values() if runs], SHARE, seed)


def _null_result(nulls: Sequence[Outcome], seed: int) -> NullResult:
    judged = [run for run in of_runs(nulls) if run.error is None and run.verdict is not None]
    wrong = [run for run in judged if run.false_positive]
    undecided = [run for run in judged if run.verdict is Verdict.INCONCLUSIVE]
    organisms = {run.organism for run in judged}
    scores = list(unit_means(nulls, Measure.SCORE).values())
    return NullResult(
        counts=counts_of(nulls),
        false_positives=clopper_pearson(len(wrong), len(judged)),
        organisms_with_any=clopper_pearson(len({run.organism for run in wrong}), len(organisms)),
        called=dict(sorted(Counter(run.organism for run in wrong).items())),
        inconclusive=clopper_pearson(len(undecided), len(judged)),
        score=mean_interval(scores, bounds_of(Measure.SCORE), seed),
    )


def _total(outcomes: Sequence[Outcome]) -> Usage:
    """All usage, each run once; what the grading cost is the grades' own."""
    return sum((run.usage for run in of_runs(outcomes)), start=Usage())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
