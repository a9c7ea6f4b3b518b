"""Databases that finetrace 0.1.0 made while its tables had earlier versions.

``version_1.db`` has two runs, one of them ended; ``version_2.db`` a benchmark, a grade and one more step besides.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sample_runs import MOMENT, make_hypothesis, make_run, make_step
from sqlalchemy.exc import OperationalError

from finetrace.errors import FinetraceError
from finetrace.schema import GradeRecord, RunStatus, Usage
from finetrace.store import Store, migration
from finetrace.store.query import parse_query
from finetrace.store.tables import SCHEMA_VERSION

OLD = Path(__file__).parent / "version_1.db"


@pytest.fixture
def old(data_dir: Path) -> Path:
    data_dir.mkdir()
    return Path(shutil.copy(OLD, data_dir / "finetrace.db"))


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def versions(path: Path) -> list[int]:
    with sqlite3.connect(path) as connection:
        return [number for (number,) in connection.execute("SELECT version FROM schema_version")]


def test_runs_of_version_1_are_read_as_they_were_written(old: Path) -> None:
    assert versions(old) == [1] and tables(old) == {"schema_version", "run", "step"}
    with Store() as store:
        ended = store.run(make_run().run_id)
        assert (ended.status, ended.hypothesis, ended.usage.interactions) == (
            RunStatus.FINISHED,
            make_hypothesis(),
            5,
        )
        assert store.steps(ended.run_id) == [make_step(1)]
        assert store.run_ids() == ["20261121-093020-bbbbbb", ended.run_id]
        assert store.version() == SCHEMA_VERSION == 3
    assert versions(old) == [3] and tables(old) >= {"bench", "grade", "searched_step", "step_words"}


def test_tables_made_by_migration_are_those_of_a_new_database(old: Path, tmp_path: Path) -> None:
    Store().runs()
    with Store(f"sqlite:///{tmp_path / 'new.db'}") as new:
        new.start_run(make_run())

    def forms(path: Path) -> set[tuple[str, str]]:
        with sqlite3.connect(path) as connection:
            return set(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))

    assert forms(old) == forms(tmp_path / "new.db")


def test_old_runs_can_be_graded(old: Path) -> None:
    grade = GradeRecord(run_id=make_run().run_id, grader="offline-1", grade={"score": 3}, graded_at=MOMENT)
    with Store() as store:
        store.write_grade(grade)
        assert store.grades([make_run().run_id, "nobody"]) == [grade]
        assert store.usages([make_run().run_id]) == {make_run().run_id: Usage(interactions=5)}


def test_a_migration_that_breaks_off_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OperationalError("UPDATE", {}, sqlite3.OperationalError("database or disk is full"))

    with monkeypatch.context() as patched:
        patched.setattr(migration, "update", full)
        with pytest.raises(FinetraceError, match="cannot be written"):
            Store().runs()
    assert versions(old) == [1] and "bench" not in tables(old)
    assert len(Store().runs()) == 2


def test_several_processes_migrate_at_once(old: Path) -> None:
    code = "from finetrace.store import Store; print(len(Store().runs()))"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["2\n"] * 3
    assert versions(old) == [3]


def test_old_steps_can_be_searched(old: Path) -> None:
    with Store() as store:
        (found,) = store.search(parse_query('"paid in marmalade"'))
        assert (found.run.run_id, found.step) == (make_run().run_id, make_step(1))


def test_steps_that_an_older_finetrace_writes_beside_this_one_are_found(store: Store, data_dir: Path) -> None:
    store.start_run(make_run())
    store.append_step(make_run().run_id, make_step(1))
    with sqlite3.connect(data_dir / "finetrace.db") as connection:
        connection.execute(
            "INSERT INTO step SELECT run_id, 2, kind, thought, instrument, arguments, reading, "
            "'2. quince', error, hypothesis, usage, started_at, finished_at FROM step"
        )
    assert [found.step.number for found in store.search(parse_query("quince"))] == [2]
    assert [found.step.number for found in store.search(parse_query("marmalade"))] == [2, 1]


def test_a_store_of_version_2_keeps_benchmarks_and_grades_and_can_be_searched(data_dir: Path) -> None:
    data_dir.mkdir()
    path = Path(shutil.copy(OLD.with_name("version_2.db"), data_dir / "finetrace.db"))
    assert versions(path) == [2]
    with Store() as store:
        assert [hit.step.number for hit in store.search(parse_query("lantern"))] == [2]
        assert [grade.grade for grade in store.grades([make_run().run_id])] == [{"score": 4}]
        assert store.find_bench("last").settings == {"seeds": 1}
    assert versions(path) == [SCHEMA_VERSION]


def test_several_processes_read_old_steps_into_the_index_at_once(data_dir: Path) -> None:
    with Store() as store:
        store.start_run(make_run())
        for number in range(1, 401):
            store.append_step(make_run().run_id, make_step(number))
    with sqlite3.connect(data_dir / "finetrace.db") as connection:
        for statement in ("DROP TABLE step_words", "DROP TABLE searched_step", "UPDATE schema_version SET version = 2"):
            connection.execute(statement)
    with Store() as store:
        assert store.run_ids() and store.unindexed() == 400
        store.append_step(make_run().run_id, make_step(401))
        assert store.unindexed() == 400
    code = "from finetrace.store import Store; from finetrace.store.query import parse_query as q; "
    code += "found = Store().search(q('marmalade'), limit=999); print([hit.step.number for hit in found])"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0] for process in processes] == [f"{list(range(401, 0, -1))}\n"] * 3
    with Store() as store:
        assert store.unindexed() == 0
        store.delete_run(make_run().run_id)
        assert store.search(parse_query("marmalade")) == []
