from __future__ import annotations

from datetime import timedelta

import pytest
from sample_runs import MOMENT, make_run

from finetrace.errors import FinetraceError
from finetrace.schema import BenchRecord, GradeRecord, RunStatus
from finetrace.store import Store


def make_bench(bench_id: str = "20261121-100000-cccccc", **changes: object) -> BenchRecord:
    record = BenchRecord(
        bench_id=bench_id,
        settings={"seeds": 2, "arms": ["full@5"]},
        units=({"run_id": "a", "organism": "tide_bells"}, {"run_id": "b", "organism": "null ☂"}),
        version="0.1.0",
        started_at=MOMENT,
    )
    return BenchRecord.model_validate(record.model_dump() | changes)


def grade(run_id: str, score: int, **changes: object) -> GradeRecord:
    record = GradeRecord(run_id=run_id, grader="offline-1", grade={"score": score}, graded_at=MOMENT)
    return GradeRecord.model_validate(record.model_dump() | changes)


def test_a_benchmark_comes_back_as_it_was_planned(store: Store) -> None:
    earlier = make_bench("20261120-100000-dddddd", started_at=MOMENT - timedelta(days=1))
    store.start_bench(make_bench())
    store.start_bench(earlier)
    store.close()
    assert store.find_bench("20261121-100000-cccccc") == store.find_bench("last") == make_bench()
    assert store.find_bench("20261120") == earlier
    assert store.bench_ids() == ["20261121-100000-cccccc", "20261120-100000-dddddd"]


def test_the_id_of_a_benchmark_is_used_once(store: Store) -> None:
    store.start_bench(make_bench())
    with pytest.raises(FinetraceError, match="already"):
        store.start_bench(make_bench(settings={}))
    assert store.find_bench("last") == make_bench()


@pytest.mark.parametrize(("name", "expected"), [("2026", "2 benchmarks begin"), ("nope", "no benchmark"), ("", "no b")])
def test_a_benchmark_that_is_not_meant_clearly_is_asked_for(store: Store, name: str, expected: str) -> None:
    with pytest.raises(FinetraceError, match="no benchmark") as none:
        store.find_bench(name or "last")
    assert "finetrace bench" in none.value.hint
    store.start_bench(make_bench())
    store.start_bench(make_bench("20261121-100000-eeeeee"))
    with pytest.raises(FinetraceError, match=expected):
        store.find_bench(name)


def test_a_grade_by_the_same_grader_takes_the_place_of_the_earlier_one(store: Store) -> None:
    store.start_run(make_run("a"))
    store.write_grade(grade("a", 2))
    store.write_grade(grade("a", 3, repeat=1))
    store.write_grade(grade("a", 4, grader="openai/judge"))
    store.write_grade(grade("a", 5))
    assert {(g.grader, g.repeat): g.grade["score"] for g in store.grades(["a", "b"])} == {
        ("offline-1", 0): 5,
        ("offline-1", 1): 3,
        ("openai/judge", 0): 4,
    }


def test_a_grade_of_a_run_that_is_not_there_is_refused(store: Store) -> None:
    store.start_run(make_run("a"))
    with pytest.raises(FinetraceError, match="no run 'b'"):
        store.write_grade(grade("b", 2))
    assert store.grades(["b"]) == []


def test_the_state_of_many_runs_is_read_at_once(store: Store) -> None:
    assert store.statuses(["a"]) == {} and store.bench_ids() == [] and store.grades(["a"]) == []
    names = [f"run-{number:04d}" for number in range(3)]
    for name in names:
        store.start_run(make_run(name))
    store.set_status(names[1], RunStatus.INTERRUPTED)
    asked = [*names, *(f"missing-{number}" for number in range(1200))]
    assert store.statuses(asked) == {
        names[0]: RunStatus.RUNNING,
        names[1]: RunStatus.INTERRUPTED,
        names[2]: RunStatus.RUNNING,
    }
