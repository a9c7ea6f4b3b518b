from __future__ import annotations

from datetime import timedelta

import pytest
from sample_runs import MOMENT, make_hypothesis, make_run

from finetrace.schema import GradeRecord, RunStatus, Usage, Verdict
from finetrace.store import GradeRange, RunFilter, Store


@pytest.fixture
def runs(store: Store) -> Store:
    """Four runs, a day apart."""
    names = [
        ("a", "tide_bells", "blackbox@50", "statistical"),
        ("b", "tide_bells/qwen3-1.7b/kto", "full", "openai/gpt-5"),
        ("c", "tide_bells_1to4", "blackbox", "statistical"),
        ("d", "heron", "full@5", "openai/gpt-5-mini"),
    ]
    for day, (run_id, organism, arm, investigator) in enumerate(names):
        started = MOMENT + timedelta(days=day)
        settings = {"bench": "first"} if run_id in "ab" else {}
        run = make_run(
            run_id, organism=organism, arm=arm, investigator=investigator, started_at=started, settings=settings
        )
        store.start_run(run)
    store.finish_run("a", RunStatus.FINISHED, make_hypothesis(), Usage())
    unsure = make_hypothesis().model_copy(update={"verdict": Verdict.INCONCLUSIVE})
    store.finish_run("b", RunStatus.FINISHED, unsure, Usage())
    store.finish_run("c", RunStatus.FAILED, None, Usage(), "gone")
    for run_id, grader, score, minutes in (("a", "old", 5, 0), ("a", "new", 2, 1), ("b", "new", None, 0)):
        moment = MOMENT + timedelta(minutes=minutes)
        store.write_grade(GradeRecord(run_id=run_id, grader=grader, grade={"score": score}, graded_at=moment))
    return store


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (RunFilter(), "dcba"),
        (RunFilter(organism="tide_bells"), "ba"),
        (RunFilter(organism="tide_*"), "cba"),
        (RunFilter(arm="blackbox"), "ca"),
        (RunFilter(arm="full"), "db"),
        (RunFilter(arm="full@5"), "d"),
        (RunFilter(investigator="openai/*"), "db"),
        (RunFilter(investigator="openai/gpt-5"), "b"),
        (RunFilter(verdict=Verdict.FINETUNED), "a"),
        (RunFilter(status=RunStatus.FAILED), "c"),
        (RunFilter(since=MOMENT + timedelta(days=2)), "dc"),
        (RunFilter(grade=GradeRange(2, 2)), "a"),
        (RunFilter(grade=GradeRange(3, 5)), ""),
        (RunFilter(grade=GradeRange(0, 0)), "dcb"),
        (RunFilter(bench="first", arm="full"), "b"),
    ],
)
def test_runs_are_chosen_by_every_condition(runs: Store, chosen: RunFilter, expected: str) -> None:
    assert "".join(run.run_id for run in runs.runs(chosen)) == expected
    assert "".join(runs.selected_ids(chosen)) == expected


def test_a_list_can_be_cut_short(runs: Store) -> None:
    assert [run.run_id for run in runs.runs(limit=2)] == ["d", "c"]
    assert runs.runs(limit=0) == []
