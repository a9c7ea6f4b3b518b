"""The CSV has HiBayes' columns, whole scores from 0, and empty cells where nothing is known."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from simulated import make_null, make_outcome

from finetrace.evals.grading.grade import FactGrade, FactOutcome, Grade
from finetrace.evals.statistics.hibayes import COLUMNS, hibayes_table, write_hibayes
from finetrace.evals.statistics.outcome import Outcome
from finetrace.schema import Usage, Verdict

WANTED = {
    "model", "organism", "organism_type", "arm", "interactions", "run_idx", "llm",
    "grader_model_id", "grader_run_idx", "score",
}  # fmt: skip


def rows_of(*outcomes: Outcome) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(hibayes_table(outcomes).text)))


def test_columns_that_hibayes_needs_are_filled() -> None:
    facts = tuple(FactGrade(fact=f"fact {place}", outcome=outcome) for place, outcome in enumerate(FactOutcome))
    grade = Grade(grader="offline-1", score=4, facts=facts, detected=True, identification_rank=1)
    (row,) = rows_of(make_outcome("tea", "blackbox@5", 3, grade=grade, interactions=5, run_id="r1", regime="SDF-SFT"))
    assert tuple(row) == COLUMNS
    assert set(COLUMNS) >= WANTED
    assert all(row[column] for column in WANTED)
    assert (row["score"], row["grade"], row["run_idx"], row["interactions"]) == ("3", "4", "3", "5")
    assert row["llm"] == row["agent_model"] == "statistical"
    assert (row["hit"], row["facts_hit"], row["facts_total"], row["status"]) == ("1", "1", "3", "success")
    assert row["false_positive"] == ""


def test_every_grade_has_its_row() -> None:
    rows = rows_of(*(make_outcome(grade_repeat=repeat, score=repeat + 1) for repeat in range(3)))
    assert [(row["grader_run_idx"], row["score"]) for row in rows] == [("0", "0"), ("1", "1"), ("2", "2")]


@pytest.mark.parametrize(
    "outcome",
    [
        make_outcome(score=None, detected=None, rank=None),
        make_outcome(error="killed", grade=None, verdict=None),
        make_outcome(error="killed", score=1),
    ],
    ids=["unscorable", "failed", "failed after a grade"],
)
def test_nothing_known_is_empty_and_counted_and_never_zero(outcome: Outcome) -> None:
    table = hibayes_table([outcome, make_outcome(score=1)])
    empty, scored = csv.DictReader(io.StringIO(table.text))
    assert (empty["score"], empty["grade"], empty["hit"]) == ("", "", "")
    assert scored["score"] == "0"
    assert (table.rows, table.unscored) == (2, 1)
    assert empty["status"] == ("error" if outcome.error else "success")


def test_nulls_say_whether_they_were_called_finetuned_and_unknown_cost_is_empty() -> None:
    wrong, right = rows_of(
        make_null("copy", Verdict.FINETUNED, usage=Usage(cost_usd=None)),
        make_null("copy", Verdict.NO_NARROW_OBJECTIVE),
    )
    assert (wrong["false_positive"], right["false_positive"]) == ("1", "0")
    assert (wrong["cost_usd"], right["cost_usd"]) == ("", "0.0")


def test_name_that_a_spreadsheet_would_run_is_quoted() -> None:
    (row,) = rows_of(make_outcome('=HYPERLINK("http://x")', investigator="@model,\n2"))
    assert row["organism"] == '\'=HYPERLINK("http://x")'
    assert row["llm"] == "'@model,\n2"


def test_file_is_written_whole_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "new" / "runs.csv"
    table = write_hibayes([make_outcome()], target)
    assert target.read_text() == table.text
    assert [file.name for file in target.parent.iterdir()] == ["runs.csv"]
    with pytest.raises(OSError):
        write_hibayes([make_outcome()], target.parent)
    assert [file.name for file in target.parent.parent.iterdir()] == ["new"]
