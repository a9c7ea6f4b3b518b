"""The figures of each arm by kind of objective, by mixing ratio, by regime, by organism."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from finetrace.evals.statistics.intervals import Interval
from finetrace.evals.statistics.outcome import Measure, Outcome
from finetrace.evals.statistics.results import Counts, Unit, by_arm, counts_of, figures_of

UNKNOWN = "unknown"
"""Where the registry does not say."""


class SliceBy(StrEnum):
    """What a benchmark is cut by."""

    TYPE = "type"
    MIXING = "mixing"
    """Own texts to general texts; the most own texts first."""
    TYPE_AND_MIXING = "type_and_mixing"
    """Kinds of objective are not spread evenly over the ratios, so that ratios compare only within a kind."""
    LADDER = "ladder"
    """Family and ratio, of families that are there at several ratios: the same truth, ever more diluted."""
    REGIME = "regime"
    FAMILY = "family"
    ORGANISM = "organism"


class Slice(BaseModel):
    """One arm on some of the organisms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: SliceBy
    value: str
    """Such as ``false_facts`` or ``1:4``."""
    investigator: str
    arm: str
    counts: Counts
    figures: dict[Measure, Interval | None]
    """As in the main table, over these organisms."""


def slices(outcomes: Sequence[Outcome], by: SliceBy, unit: Unit = Unit.ORGANISM, seed: int = 0) -> tuple[Slice, ...]:
    """Cut every arm the same way. Nulls are a kind of their own under ``TYPE`` and ``ORGANISM``, elsewhere left out."""
    kept = [outcome for outcome in outcomes if not outcome.null or by in (SliceBy.TYPE, SliceBy.ORGANISM)]
    if by is SliceBy.LADDER:
        steps = {(outcome.family, outcome.mixing) for outcome in kept if outcome.mixing is not None}
        several = Counter(family for family, _ in steps)
        kept = [outcome for outcome in kept if outcome.mixing is not None and several[outcome.family] > 1]
    values = sorted({_value(outcome, by) for outcome in kept}, key=_order)
    found = []
    for value in values:
        here = [outcome for outcome in kept if _value(outcome, by) == value]
        for name, rows in by_arm(here).items():
            found.append(
                Slice(
                    by=by,
                    value=value,
                    investigator=name.investigator,
                    arm=name.arm,
                    counts=counts_of(rows),
                    figures=figures_of(rows, unit, seed),
                )
            )
    return tuple(found)


def _value(outcome: Outcome, by: SliceBy) -> str:
    mixing = outcome.mixing or UNKNOWN
    return {
        SliceBy.TYPE: outcome.type.value,
        SliceBy.MIXING: mixing,
        SliceBy.TYPE_AND_MIXING: f"{outcome.type.value} {mixing}",
        SliceBy.LADDER: f"{outcome.family} {mixing}",
        SliceBy.REGIME: outcome.regime or UNKNOWN,
        SliceBy.FAMILY: outcome.family,
        SliceBy.ORGANISM: outcome.organism,
    }[by]


def _order(value: str) -> tuple[str, float, str]:
    """By name, ratios from the purest to the most mixed, the unknown last."""
    *name, ratio = value.split(" ")
    own, colon, general = ratio.partition(":")
    if not colon:
        return " ".join([*name, "" if ratio == UNKNOWN and name else ratio]), float("inf"), value
    try:
        parts = float(own), float(general)
    except ValueError:
        return value, 0.0, value
    return " ".join([*name, ""]), parts[1] / sum(parts) if sum(parts) else 1.0, value
