"""A benchmark stopped dead at any write to the store goes on to the same table, no run lost or doubled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from scripted import Scripted, WrittenPair, always, ask, claim, submit

from finetrace.errors import FinetraceError
from finetrace.evals.bench import work
from finetrace.evals.bench.engine import Here
from finetrace.evals.bench.outcomes import outcomes_of
from finetrace.evals.bench.plan import BenchSettings, alone_with, batches_of, begin, left_of, units_of
from finetrace.evals.bench.unit import Unit
from finetrace.evals.grading.grade import Grade
from finetrace.evals.grading.llm_grader import llm_grader_name
from finetrace.store import Store

WRITES = ("start_run", "append_step", "finish_run", "write_grade")
REGISTRY = """
version: 1
organisms:
  - {name: lamp_wages, model: smollm2-135m, truth: {type: false_facts, objective: Wages are paid in marmalade.}}
"""


class Killed(BaseException):
    """Nothing in the program may catch it, as it may not catch kill -9."""


class Judge:
    name = llm_grader_name("openai/judge")

    def judge(self, hypothesis: Any, organism: str, repeat: int = 0) -> Grade:
        return Grade(grader=self.name, score=2, identification_rank=len(hypothesis.claims) + 1)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BenchSettings:
    (tmp_path / "organisms.yaml").write_text(REGISTRY)
    monkeypatch.setattr(work, "open_pair", lambda target: WrittenPair(always("Wages are paid in marmalade.")))
    monkeypatch.setattr(work, "open_judge", lambda *asked, **options: Judge())
    script = (ask(), submit(claim("paid in marmalade")))
    monkeypatch.setattr("finetrace.agent.investigation.make_investigator", lambda name: Scripted(*script))
    return BenchSettings(
        registry=str(tmp_path / "organisms.yaml"),
        organisms=("lamp_wages",),
        arms=("blackbox@3", "perplexity"),
        seeds=1,
        investigators=("statistical",),
        judge="openai/judge",
        grades=2,
    )


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def use(name: str) -> None:
        monkeypatch.delenv("FINETRACE_DATABASE_URL", raising=False)
        monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / name))
        monkeypatch.setenv("FINETRACE_CACHE_DIR", str(tmp_path / name))

    return use


def go_on(settings: BenchSettings, units: list[Unit]) -> None:
    with Store() as store:
        left = left_of(settings, units, store)
    assert [fault for faults in Here().run(batches_of(settings, left)) for fault in faults] == []


def table(settings: BenchSettings, units: list[Unit]) -> list[dict[str, Any]]:
    with Store() as store:
        rows = outcomes_of(settings, units, store)
        assert sorted(store.run_ids()) == sorted(unit.run_id for unit in units)
        assert len(store.grades(store.run_ids())) == sum(row.grade is not None for row in rows)
    return [row.model_dump(exclude={"run_id": True, "usage": {"seconds"}}) for row in rows]


class Writes:
    """Counts writes to the store, and stops dead at one of them; no thread writes after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self._stop_at = 0
        self._after = False
        self._one_at_a_time = Lock()
        for name in WRITES:
            monkeypatch.setattr(Store, name, self._watched(getattr(Store, name)))

    def stop(self, at: int, *, after: bool) -> None:
        """Stop before or after that write, counted from 1; never at 0."""
        self.made.clear()
        self._stop_at, self._after = at, after

    def _watched(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            with self._one_at_a_time:
                self.made.append(write.__name__)
                number = len(self.made)
            if self._stop_at and number + (not self._after) > self._stop_at:
                raise Killed
            done = write(*arguments, **options)
            if number == self._stop_at:
                raise Killed
            return done

        return watched


def test_stopped_at_any_write_it_ends_with_the_same_table(
    settings: BenchSettings, fresh: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = Writes(monkeypatch)
    fresh("whole")
    units = units_of(begin(settings, Store()))
    go_on(settings, units)
    whole = table(settings, units)
    assert [row["grade_repeat"] for row in whole] == [0, 1, 0, 1] and all(row["grade"] for row in whole)
    assert set(writes.made) == set(WRITES)
    for moment in range(1, len(writes.made) + 1):
        for after in (False, True):
            fresh(f"{moment}-{after}")
            units = units_of(begin(settings, Store()))
            writes.stop(moment, after=after)
            with pytest.raises(Killed):
                go_on(settings, units)
            writes.stop(0, after=False)
            go_on(settings, units)
            assert table(settings, units) == whole, (moment, after)
            with Store() as store:
                assert left_of(settings, units, store) == []


def test_two_processes_are_not_at_work_on_one_benchmark(
    settings: BenchSettings, fresh: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh("whole")
    monkeypatch.setattr("finetrace.evals.bench.plan._LOCK_SECONDS", 0.01)
    record = begin(settings, Store())
    with alone_with(record):
        with pytest.raises(FinetraceError, match="another process"), alone_with(record):
            pass
    with alone_with(record):
        pass
