"""Arm by organism: what each cell scored, and the runs it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from finetrace.evals.bench.outcomes import NOT_BEGUN, NOT_ENDED, NOT_GRADED
from finetrace.evals.statistics.outcome import Measure, Outcome
from finetrace.evals.statistics.results import ArmName, by_arm, of_runs
from finetrace.schema import Verdict

LEVELS = 8
"""Shades above the darkest, from score 1 to score 5."""


class CellRun(NamedTuple):
    """One run of a cell."""

    anchor: str
    """Where it stands on the page; empty for one that is not in the store."""
    said: str
    """Its score or its verdict, short."""
    about: str
    """The same in words."""


class Cell(NamedTuple):
    """One organism in one arm."""

    style: str
    said: str
    runs: tuple[CellRun, ...]


class Row(NamedTuple):
    """One organism."""

    organism: str
    about: str
    """Its mixing ratio and regime, where known."""
    cells: tuple[Cell, ...]


class Block(NamedTuple):
    """Organisms of one kind."""

    kind: str
    null: bool
    rows: tuple[Row, ...]


class HeatMap(NamedTuple):
    """The whole map."""

    columns: tuple[ArmName, ...]
    blocks: tuple[Block, ...]


def heat_map(outcomes: Sequence[Outcome], anchors: Mapping[str, str]) -> HeatMap:
    """Organisms by kind, nulls last; arms in the order in which they come.

    Args:
        outcomes: Of one benchmark.
        anchors: Where each run stands on the page, by id.
    """
    columns = tuple(by_arm(outcomes))
    kinds = dict.fromkeys(sorted((outcome.null, outcome.type.value) for outcome in outcomes))
    blocks = []
    for null, kind in kinds:
        own = [outcome for outcome in outcomes if outcome.type.value == kind]
        rows = [
            _row(organism, [outcome for outcome in own if outcome.organism == organism], columns, anchors)
            for organism in dict.fromkeys(outcome.organism for outcome in own)
        ]
        blocks.append(Block(kind.replace("_", " "), null, tuple(rows)))
    return HeatMap(columns, tuple(blocks))


def _row(organism: str, outcomes: Sequence[Outcome], columns: Sequence[ArmName], anchors: Mapping[str, str]) -> Row:
    first = outcomes[0]
    about = ", ".join(part for part in (first.mixing, first.regime) if part)
    groups = by_arm(outcomes)
    return Row(organism, about, tuple(_cell(groups.get(column, []), anchors) for column in columns))


def _cell(outcomes: Sequence[Outcome], anchors: Mapping[str, str]) -> Cell:
    runs = of_runs(outcomes)
    if not runs:
        return Cell("none", "", ())
    scores = {run.key: mean_score([each for each in outcomes if each.key == run.key]) for run in runs}
    shown = tuple(
        CellRun(anchors.get(run.run_id, ""), _short(run, scores[run.key]), _words(run, scores[run.key])) for run in runs
    )
    if runs[0].null:
        return _null_cell([run for run in runs if run.error is None and run.verdict is not None], shown)
    known = [score for score in scores.values() if score is not None]
    if not known:
        return Cell("none", _why_none(runs), shown)
    mean = sum(known) / len(known)
    return Cell(f"h{round((mean - 1) / 4 * LEVELS)}", f"{mean:.1f}" if mean % 1 else f"{mean:.0f}", shown)


def _why_none(runs: Sequence[Outcome]) -> str:
    """What to say where no run has a score; what is to come says so, all else that stopped a run is a failure."""
    reasons = {run.error for run in runs} - {None, NOT_BEGUN}
    if not reasons:
        return "–"
    return next((reason for reason in (NOT_ENDED, NOT_GRADED) if reason in reasons), "failed")


def _null_cell(judged: Sequence[Outcome], shown: tuple[CellRun, ...]) -> Cell:
    """Nulls have no score worth a shade: what counts is whether they were taken for something."""
    if not judged:
        return Cell("none", "–", shown)
    wrong = sum(bool(run.false_positive) for run in judged)
    if wrong:
        return Cell("false", "✗ false" if len(judged) == 1 else f"✗ {wrong} of {len(judged)}", shown)
    if all(run.verdict is Verdict.INCONCLUSIVE for run in judged):
        return Cell("open", "? open", shown)
    return Cell("right", "✓", shown)


def mean_score(grades: Sequence[Outcome]) -> float | None:
    """Of one run, the mean over its grades."""
    values = [value for each in grades if (value := Measure.SCORE.of(each)) is not None]
    return sum(values) / len(values) if values else None


def _short(run: Outcome, score: float | None) -> str:
    if run.error is not None:
        return "!"
    if run.null:
        return {None: "–", Verdict.FINETUNED: "✗", Verdict.INCONCLUSIVE: "?"}.get(run.verdict, "✓")
    return "–" if score is None else f"{score:.2g}"


def _words(run: Outcome, score: float | None) -> str:
    verdict = "no verdict" if run.verdict is None else run.verdict.value.replace("_", " ")
    outcome = run.error or f"{verdict}, {'not scored' if score is None else f'score {score:.2g}'}"
    return f"{run.organism}, {run.arm}, seed {run.seed}: {outcome}"
