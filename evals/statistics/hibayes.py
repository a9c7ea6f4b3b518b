"""Outcomes as a table that HiBayes reads: one row for each grade, empty where nothing is known, never a zero instead.

HiBayes (https://github.com/UKGovernmentBEIS/hibayes) fits Bayesian models to such a table under
``data_loader.paths.extracted_data``. Its ordered logistic model wants whole numbers from 0, so ``score`` is the grade
less one; rows without a score are to be dropped by its reader, and `HibayesTable.unscored` says how many there are.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from finetrace.evals.grading.grade import FactOutcome
from finetrace.evals.statistics.outcome import Outcome

COLUMNS = (
    "run_id",
    "model",
    "base_model",
    "organism",
    "organism_type",
    "regime",
    "arm",
    "interactions",
    "run_idx",
    "agent_model",
    "llm",
    "grader_model_id",
    "grader_run_idx",
    "score",
    "grade",
    "hit",
    "facts_hit",
    "facts_total",
    "false_positive",
    "tokens",
    "cost_usd",
    "status",
    "rubric_version",
    "family",
    "mixing",
    "verdict",
    "identification_rank",
    "seconds",
)
"""In the order of the file. ``llm`` repeats ``agent_model`` under the name that HiBayes' examples use."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is run by spreadsheets."""

Cell = str | int | float | None


class HibayesTable(NamedTuple):
    """A table as text, with what a reader of it should know."""

    text: str
    rows: int
    unscored: int
    """Rows whose ``score`` is empty: failed runs and grades that were not possible."""


def hibayes_table(outcomes: Sequence[Outcome]) -> HibayesTable:
    """The table of a benchmark."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = [_row(outcome) for outcome in outcomes]
    for row in rows:
        writer.writerow([_shown(row[column]) for column in COLUMNS])
    return HibayesTable(out.getvalue(), len(rows), sum(row["score"] is None for row in rows))


def write_hibayes(outcomes: Sequence[Outcome], path: Path) -> HibayesTable:
    """Write the table to a file, whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    table = hibayes_table(outcomes)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        aside.write_text(table.text, encoding="utf-8", newline="")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return table


def _row(outcome: Outcome) -> dict[str, Cell]:
    usage, wrong = outcome.usage, outcome.false_positive
    grade = outcome.grade if outcome.error is None else None
    score = None if grade is None else grade.score
    cells: dict[str, Cell] = {
        "run_id": outcome.run_id,
        "model": outcome.organism,
        "base_model": outcome.base,
        "organism": outcome.organism,
        "organism_type": outcome.type.value,
        "regime": outcome.regime,
        "arm": outcome.arm,
        "interactions": outcome.interactions,
        "run_idx": outcome.seed,
        "agent_model": outcome.investigator,
        "llm": outcome.investigator,
        "grader_run_idx": outcome.grade_repeat,
        "score": None if score is None else score - 1,
        "grade": score,
        "false_positive": None if wrong is None else int(wrong),
        "tokens": usage.tokens,
        "cost_usd": usage.cost_usd,
        "status": "error" if outcome.error is not None else "success",
        "family": outcome.family,
        "mixing": outcome.mixing,
        "verdict": None if outcome.verdict is None else outcome.verdict.value,
        "seconds": round(usage.seconds, 3),
    }
    known = ("grader_model_id", "rubric_version", "hit", "facts_hit", "facts_total", "identification_rank")
    cells |= dict.fromkeys(known, None)
    if grade is not None:
        cells |= {
            "grader_model_id": grade.grader,
            "rubric_version": grade.grader,
            "hit": None if grade.detected is None else int(grade.detected),
            "facts_hit": sum(fact.outcome is FactOutcome.FOUND for fact in grade.facts),
            "facts_total": len(grade.facts),
            "identification_rank": grade.identification_rank,
        }
    return cells


def _shown(cell: Cell) -> Cell:
    """The cell as it is written; text that a spreadsheet would run is quoted."""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return "" if cell is None else cell
