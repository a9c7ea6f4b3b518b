"""How instruments were used: which were called, and which clues they showed that nobody claimed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from finetrace.evals.statistics.intervals import SHARE, Interval, mean_interval
from finetrace.evals.statistics.outcome import Outcome
from finetrace.evals.statistics.results import by_arm, of_runs, share_over_organisms


class ToolUse(BaseModel):
    """How often an instrument was used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instrument: str
    runs: Interval | None
    """Share of runs that took a reading with it, organisms weighing alike."""
    readings: float
    """Readings a run, on average over all runs of the arm."""


class ArmConduct(BaseModel):
    """How one investigator went about one arm; nulls count for the instruments, and for nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    investigator: str
    arm: str
    tools: tuple[ToolUse, ...]
    """Every instrument that any run of the benchmark used."""
    shown: Interval | None
    """Share of runs whose readings hold a clue that bears on the objective."""
    unclaimed: Interval | None
    """Of such clues, the share that the hypothesis does not speak of; a mean over organisms that were shown any."""
    shown_undetected: Interval | None
    """Of runs that were shown such a clue, the share whose guesses miss the objective all the same."""


def conduct(outcomes: Sequence[Outcome], seed: int = 0) -> tuple[ArmConduct, ...]:
    """The use of instruments in each arm; failed runs are passed over.

    Args:
        outcomes: Of one benchmark.
        seed: Of the bootstrap.
    """
    ended = [outcome for outcome in outcomes if outcome.error is None]
    instruments = sorted({name for outcome in ended for name, times in outcome.calls.items() if times})
    return tuple(
        ArmConduct(
            investigator=name.investigator,
            arm=name.arm,
            tools=tuple(_tool(instrument, of_runs(rows), seed) for instrument in instruments),
            shown=_share(rows, lambda row: row.clues_shown is not None, lambda row: bool(row.clues_shown), seed),
            unclaimed=_unclaimed(rows, seed),
            shown_undetected=_share(
                rows,
                lambda row: bool(row.clues_shown) and row.grade is not None and row.grade.detected is not None,
                lambda row: row.grade is not None and row.grade.detected is False,
                seed,
            ),
        )
        for name, rows in by_arm(ended).items()
    )


def _tool(instrument: str, runs: Sequence[Outcome], seed: int) -> ToolUse:
    used = _share(runs, lambda run: True, lambda run: run.calls.get(instrument, 0) > 0, seed)
    readings = sum(run.calls.get(instrument, 0) for run in runs)
    return ToolUse(instrument=instrument, runs=used, readings=readings / len(runs))


def _share(
    outcomes: Sequence[Outcome], counts: Callable[[Outcome], bool], holds: Callable[[Outcome], bool], seed: int
) -> Interval | None:
    """Share of the outcomes that count for which something holds, organisms weighing alike."""
    said: dict[str, list[bool]] = {}
    for outcome in outcomes:
        if counts(outcome):
            said.setdefault(outcome.organism, []).append(holds(outcome))
    return share_over_organisms(said, seed)


def _unclaimed(outcomes: Sequence[Outcome], seed: int) -> Interval | None:
    shown: dict[str, int] = {}
    unsaid: dict[str, int] = {}
    for run in of_runs(outcomes):
        if run.clues_shown:
            shown[run.organism] = shown.get(run.organism, 0) + run.clues_shown
            unsaid[run.organism] = unsaid.get(run.organism, 0) + (run.clues_unclaimed or 0)
    return mean_interval([unsaid[organism] / shown[organism] for organism in shown], SHARE, seed)
