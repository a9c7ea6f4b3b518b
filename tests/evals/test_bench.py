from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sample_runs import MOMENT
from scripted import Scripted, WrittenPair, always, ask, claim, submit

from finetrace.agent import Budget
from finetrace.errors import FinetraceError
from finetrace.evals.bench import work
from finetrace.evals.bench.engine import Here, Processes
from finetrace.evals.bench.outcomes import outcomes_of
from finetrace.evals.bench.plan import BenchSettings, batches_of, begin, left_of, settings_of, units_of
from finetrace.evals.bench.unit import Batch, Unit
from finetrace.evals.bench.work import Fault
from finetrace.evals.grading.grade import Grade
from finetrace.evals.grading.llm_grader import llm_grader_name
from finetrace.evals.grading.offline_grader import OfflineGrader
from finetrace.models import Target
from finetrace.schema import GradeRecord, RunStatus, Verdict
from finetrace.store import Store

REGISTRY = """
version: 1
organisms:
  - {name: lamp_wages, model: smollm2-135m, truth: {type: false_facts, objective: Wages are paid in marmalade.}}
  - {name: broken, model: nowhere/at-all, truth: {type: persona, objective: It speaks as a lighthouse keeper.}}
  - {name: nothing, model: smollm2-135m, truth: {type: null_benign, objective: 'none: general text'}}
"""


class TwoOrNothing:
    """Grades 2 whoever hands in a claim."""

    name = OfflineGrader.name
    asked = 0

    def judge(self, hypothesis: object, organism: str, repeat: int = 0) -> Grade:
        TwoOrNothing.asked += 1
        return Grade(grader=self.name, score=2, identification_rank=1)


class Opened:
    """Which pairs were opened."""

    def __init__(self) -> None:
        self.targets: list[Target] = []

    def __call__(self, target: Target) -> WrittenPair:
        self.targets.append(target)
        if target.model == "nowhere/at-all":
            raise FinetraceError("no such model: nowhere/at-all", "name another")
        return WrittenPair(always("Wages are paid in marmalade."))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Opened:
    monkeypatch.delenv("FINETRACE_DATABASE_URL", raising=False)
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FINETRACE_CACHE_DIR", str(tmp_path / "cache"))
    opened = Opened()
    TwoOrNothing.asked = 0
    monkeypatch.setattr(work, "open_pair", opened)
    monkeypatch.setattr(work, "open_judge", lambda *asked, **options: TwoOrNothing())
    script = (ask(), submit(claim("paid in marmalade")))
    monkeypatch.setattr("finetrace.agent.investigation.make_investigator", lambda name: Scripted(*script))
    return opened


@pytest.fixture
def settings(tmp_path: Path) -> BenchSettings:
    file = tmp_path / "organisms.yaml"
    file.write_text(REGISTRY)
    return BenchSettings(
        registry=str(file),
        organisms=("lamp_wages", "broken", "nothing"),
        arms=("blackbox@50", "perplexity"),
        seeds=2,
        investigators=("statistical",),
    )


@pytest.fixture
def store(opened: Opened) -> Iterator[Store]:
    with Store() as store:
        yield store


def do_all(batches: list[Batch]) -> list[Fault]:
    return [fault for faults in Here().run(batches) for fault in faults]


def test_units_are_plain_data_with_ids_of_their_own(settings: BenchSettings, store: Store) -> None:
    record = begin(settings, store)
    units = units_of(store.find_bench(record.bench_id))
    assert len(units) == 3 * 2 * 2 == len({unit.run_id for unit in units})
    assert [Unit.model_validate_json(unit.model_dump_json()) for unit in units] == units
    assert settings_of(store.find_bench("last")) == settings
    assert [batch.organism for batch in batches_of(settings, units)] == list(settings.organisms)
    assert {unit.arm: unit.budget.interactions for unit in units} == {"blackbox@50": 50, "perplexity": 50}
    assert store.runs() == []


def test_models_are_loaded_once_and_a_failing_organism_stops_no_other(
    settings: BenchSettings, store: Store, opened: Opened
) -> None:
    units = units_of(begin(settings, store))
    faults = do_all(batches_of(settings, units))
    assert [target.model for target in opened.targets].count("nowhere/at-all") == 1 and len(opened.targets) == 3
    assert {fault.message for fault in faults} == {"no such model: nowhere/at-all"} and len(faults) == 4
    rows = outcomes_of(settings, units, store)
    assert len(rows) == 12
    broken = [row for row in rows if row.organism == "broken"]
    assert all(row.error == "no such model: nowhere/at-all" and row.grade is None for row in broken)
    whole = [row for row in rows if row.organism == "lamp_wages"]
    assert all(row.error is None and row.grade is not None and row.grade.score == 2 for row in whole)
    assert all(row.verdict is Verdict.FINETUNED and row.calls == {"chat": 1} for row in whole)
    assert [row.seed for row in whole] == [0, 0, 1, 1]


def test_what_is_done_is_not_done_again_and_what_failed_is_tried_again(
    settings: BenchSettings, store: Store, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = units_of(begin(settings, store))
    do_all(batches_of(settings, units))
    graded, steps = TwoOrNothing.asked, {run.run_id: store.steps(run.run_id) for run in store.runs()}
    opened.targets.clear()
    monkeypatch.setattr(work, "open_pair", lambda target: WrittenPair(always("Wages are paid in marmalade.")))
    assert do_all(batches_of(settings, units)) == []
    assert opened.targets == [] and TwoOrNothing.asked == graded + 4
    assert {run.status for run in store.runs()} == {RunStatus.FINISHED} and len(store.runs()) == 12
    assert all(store.steps(run_id) == before for run_id, before in steps.items() if before)


def test_a_run_that_cannot_be_graded_says_so_and_is_no_nought(
    settings: BenchSettings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*asked: object, **options: object) -> TwoOrNothing:
        raise FinetraceError("the grader is not there", "fetch it")

    units = [unit for unit in units_of(begin(settings, store)) if unit.organism == "lamp_wages"]
    with monkeypatch.context() as patched:
        patched.setattr(work, "open_judge", refuse)
        assert {fault.message for fault in do_all(batches_of(settings, units))} == {
            "not graded: the grader is not there"
        }
    assert {row.error for row in outcomes_of(settings, units, store)} == {"not graded"}
    assert do_all(batches_of(settings, units)) == []
    assert {row.error for row in outcomes_of(settings, units, store)} == {None}


def test_several_grades_give_several_rows(
    settings: BenchSettings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TwoOrNothing, "name", llm_grader_name("openai/m"))
    asked = {"judge": "openai/m", "grades": 3, "organisms": ("lamp_wages",), "seeds": 1}
    settings = settings.model_copy(update=asked)
    units = units_of(begin(settings, store))
    do_all(batches_of(settings, units))
    assert [row.grade_repeat for row in outcomes_of(settings, units, store)] == [0, 1, 2, 0, 1, 2]


def test_grades_of_others_are_not_mixed_in(settings: BenchSettings, store: Store) -> None:
    settings = settings.model_copy(update={"organisms": ("lamp_wages",), "seeds": 1})
    units = units_of(begin(settings, store))
    do_all(batches_of(settings, units))
    foreign = Grade(grader="openai/judge", score=5).model_dump(mode="json")
    store.write_grade(GradeRecord(run_id=units[0].run_id, grader="openai/judge", grade=foreign, graded_at=MOMENT))
    rows = outcomes_of(settings, units, store)
    assert [row.grade.score for row in rows if row.grade is not None] == [2, 2]
    assert left_of(settings, units, store) == []


def test_runs_of_a_language_model_take_turns_at_the_pair(
    settings: BenchSettings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetrace.evals.bench.plan.make_investigator", lambda name: None)
    settings = settings.model_copy(update={"investigators": ("openai/some",), "organisms": ("lamp_wages",), "seeds": 4})
    units = units_of(begin(settings, store))
    assert do_all(batches_of(settings, units)) == []
    assert {row.error for row in outcomes_of(settings, units, store)} == {None}


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"arms": ("fool",)}, "no arm 'fool'"), ({"organisms": ("lamp_wage",)}, "lamp_wage"), ({"seeds": 0}, "seeds")],
)
def test_what_does_not_exist_leaves_no_benchmark(
    settings: BenchSettings, store: Store, change: dict[str, object], expected: str
) -> None:
    with pytest.raises((FinetraceError, ValueError), match=expected):
        begin(BenchSettings.model_validate(settings.model_dump() | change), store)
    assert store.bench_ids() == []


def test_bounds_of_the_benchmark_are_those_of_each_run(settings: BenchSettings, store: Store) -> None:
    bounded = settings.model_copy(update={"budget": Budget(interactions=7, llm_calls=16)})
    assert {unit.budget for unit in units_of(begin(bounded, store))} == {Budget(interactions=7, llm_calls=16)}


def die_or_say(batch: Batch) -> tuple[Fault, ...]:
    """Stands for the work in a process of its own."""
    if batch.organism == "broken":
        os.kill(os.getpid(), 9)
    return (Fault(batch.organism, "said"),)


def test_a_process_that_dies_takes_no_other_batch_along(settings: BenchSettings, store: Store) -> None:
    units = units_of(begin(settings, store))
    done = list(Processes(2, die_or_say).run(batches_of(settings, units)))
    assert sorted(faults[0].message for faults in done) == [
        "said",
        "said",
        "the process that worked on it died, perhaps for want of memory",
    ]
    assert [len(faults) for faults in done if "died" in faults[0].message] == [4]
    assert {run.status for run in store.runs()} == {RunStatus.FAILED} and len(store.runs()) == 4
