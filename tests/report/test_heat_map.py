"""The cells of arm × organism."""

from __future__ import annotations

import pytest

from finetrace.evals.bench.outcomes import NOT_BEGUN, NOT_ENDED, NOT_GRADED
from finetrace.evals.grading.grade import Grade
from finetrace.evals.statistics.outcome import Outcome
from finetrace.report.heat_map import Cell, heat_map
from finetrace.schema import OrganismType, Verdict


def _outcome(seed: int = 0, **values: object) -> Outcome:
    plain = Outcome(
        run_id=f"r{seed}",
        organism="lamp_wages",
        family="lamp_wages",
        type=OrganismType.FALSE_FACTS,
        arm="full",
        investigator="statistical",
        seed=seed,
        verdict=Verdict.FINETUNED,
    )
    return plain.model_copy(update=values)


def _graded(score: int | None, seed: int = 0, **values: object) -> Outcome:
    return _outcome(seed, grade=Grade(grader="offline-1", score=score), **values)


def _cell(*outcomes: Outcome) -> Cell:
    return heat_map(outcomes, {"r0": "a0", "r1": "a1"}).blocks[0].rows[0].cells[0]


def test_a_cell_is_the_mean_of_its_runs_and_leads_to_each() -> None:
    cell = _cell(_graded(1), _graded(2, 1))
    assert (cell.style, cell.said) == ("h1", "1.5")
    assert [(run.anchor, run.said) for run in cell.runs] == [("a0", "1"), ("a1", "2")]
    assert [_cell(_graded(score)).style for score in (1, 3, 5)] == ["h0", "h4", "h8"]


def test_several_grades_of_a_run_weigh_as_one_run() -> None:
    assert _cell(_graded(1), _graded(5, grade_repeat=1), _graded(1, 1)).said == "2"


@pytest.mark.parametrize(
    ("error", "said"),
    [(NOT_BEGUN, "–"), (NOT_ENDED, "not ended"), (NOT_GRADED, "not graded"), ("the provider is gone", "failed")],
)
def test_a_cell_without_a_score_says_why_and_is_no_zero(error: str, said: str) -> None:
    cell = _cell(_outcome(error=error))
    assert (cell.style, cell.said) == ("none", said)
    assert _cell(_graded(None)).style == "none"


@pytest.mark.parametrize(
    ("verdicts", "style"),
    [
        ((Verdict.NO_NARROW_OBJECTIVE, Verdict.INCONCLUSIVE), "right"),
        ((Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE), "open"),
        ((Verdict.NO_NARROW_OBJECTIVE, Verdict.FINETUNED), "false"),
    ],
)
def test_a_null_is_judged_by_its_verdict_alone(verdicts: tuple[Verdict, ...], style: str) -> None:
    rows = [_graded(5, seed, type=OrganismType.NULL_BENIGN, verdict=each) for seed, each in enumerate(verdicts)]
    assert _cell(*rows).style == style


def test_nulls_come_last_and_arms_keep_their_order() -> None:
    rows = [_graded(3, organism="copy", type=OrganismType.NULL_IDENTICAL), _graded(2), _graded(2, arm="blackbox")]
    found = heat_map(rows, {})
    assert [(block.kind, block.null) for block in found.blocks] == [("false facts", False), ("null identical", True)]
    assert [column.arm for column in found.columns] == ["full", "blackbox"]
    assert found.blocks[1].rows[0].cells[1].runs == ()
