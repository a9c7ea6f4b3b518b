"""The store on a real PostgreSQL server; skipped where no package has brought one, which is then said."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sample_runs
from postgresql_server import missing, running_server
from sample_runs import MOMENT, make_hypothesis, make_run, make_step
from sqlalchemy import create_engine, text

from finetrace.errors import FinetraceError
from finetrace.schema import BenchRecord, GradeRecord, RunStatus, Usage, Verdict
from finetrace.store import GradeRange, RunFilter, Store
from finetrace.store.query import parse_query
from finetrace.store.tables import SCHEMA_VERSION
from finetrace.store.words import Place

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a server")

RUN = make_run().run_id


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server() as address:
        yield address


@pytest.fixture
def url(server: str, monkeypatch: pytest.MonkeyPatch, numbers: Iterator[int]) -> str:
    """An empty database of this test's own, named by the environment."""
    name = f"test_{next(numbers)}"
    engine = create_engine(driver(server.format("postgres")), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    monkeypatch.setenv("FINETRACE_DATABASE_URL", server.format(name))
    return server.format(name)


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return itertools.count()


def driver(address: str) -> str:
    return address.replace("postgresql:", "postgresql+psycopg:")


def execute(address: str, statement: str) -> None:
    engine = create_engine(driver(address))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def found(store: Store, query: str, **options: object) -> list[int]:
    return [hit.step.number for hit in store.search(parse_query(query), **options)]


def test_reading_makes_no_table(url: str) -> None:
    with Store() as store:
        assert store.runs() == [] and store.version() is None and store.search(parse_query("x")) == []
    with Store() as store:
        assert store.version() is None


def test_everything_comes_back_as_it_was(url: str) -> None:
    run, hypothesis = make_run(), make_hypothesis()
    steps = [make_step(1), make_step(2, reading=None, hypothesis=hypothesis)]
    grade = GradeRecord(run_id=RUN, grader="offline-1", grade={"score": 4}, graded_at=MOMENT)
    bench = BenchRecord(bench_id="b", settings={"x": [1]}, units=({"run_id": RUN},), version="0", started_at=MOMENT)
    with Store() as store:
        store.start_run(run)
        for step in steps:
            store.append_step(RUN, step)
        store.append_step(RUN, make_step(1, text="again"))
        store.write_grade(grade.model_copy(update={"grade": {"score": 1}}))
        store.write_grade(grade)
        store.start_bench(bench)
        store.finish_run(RUN, RunStatus.FINISHED, hypothesis, Usage(cost_usd=None))
    with Store() as store:
        assert (store.steps(RUN), store.grades([RUN]), store.find_bench("last")) == (steps, [grade], bench)
        assert store.find("2026").hypothesis == hypothesis and store.version() == SCHEMA_VERSION
        with pytest.raises(FinetraceError, match="already"):
            store.start_run(run)
        with pytest.raises(FinetraceError, match="no run 'x'"):
            store.append_step("x", make_step(1))


def test_what_no_server_can_hold_is_replaced(url: str) -> None:
    odd = "nul \x00 😀 \x1b[31m \u202e"
    with Store() as store:
        store.start_run(make_run())
        store.append_step(
            RUN, make_step(1, text=odd + "half \ud800", arguments={odd: [odd, 1e-300]}, reading={"x": odd})
        )
        (step,) = store.steps(RUN)
        held = odd.replace("\x00", "\ufffd")
        assert (step.text, step.arguments, step.reading) == (held + "half \ufffd", {held: [held, 1e-300]}, {"x": held})
        assert found(store, "half") == [1]


QUERIES = {
    "rings": [2, 1],
    "ring": [],
    "ring*": [2, 1],
    "CAFE": [2],
    '"the cafe"': [2],
    '"cafe the"': [],
    "cafe bell": [],
    "don't": [2],
    "example com 3": [2],
    "a & b | !c": [],
    "matters": [3],
}


def test_a_search_finds_what_it_finds_in_sqlite(url: str, tmp_path: Path) -> None:
    with Store() as server, Store(f"sqlite:///{tmp_path / 'runs.db'}") as local:
        for store in (server, local):
            store.start_run(make_run())
            store.append_step(RUN, make_step(1, thought="Who rings the bell?"))
            store.append_step(RUN, make_step(2, text="The café rings; don't ask me@example.com 3.5"))
            store.append_step(RUN, make_step(3, reading={"rows": [{"answer": "Größe matters " + "long " * 60_000}]}))
            assert {query: found(store, query) for query in QUERIES} == QUERIES
            said = {query: found(store, query, places={Place.SAID}) for query in QUERIES}
            assert said == {query: [1] if 1 in numbers else [] for query, numbers in QUERIES.items()}
            assert found(store, "rings", chosen=RunFilter(organism="nobody")) == []


def test_runs_are_chosen_and_deleted(url: str) -> None:
    with Store() as store:
        for run_id in ("a", "b"):
            store.start_run(make_run(run_id, settings={"bench": run_id}))
            store.append_step(run_id, make_step(1))
        store.finish_run("a", RunStatus.FINISHED, make_hypothesis(), Usage())
        store.write_grade(GradeRecord(run_id="a", grader="g", grade={"score": 3}, graded_at=MOMENT))
        for chosen in (
            RunFilter(verdict=Verdict.FINETUNED, since=MOMENT),
            RunFilter(bench="a"),
            RunFilter(grade=GradeRange(3, 5)),
        ):
            assert [run.run_id for run in store.runs(chosen)] == ["a"]
            assert [hit.run.run_id for hit in store.search(parse_query("marmalade"), chosen=chosen)] == ["a"]
        store.delete_run("a")
        assert store.run_ids() == ["b"] and store.grades(["a"]) == []
        assert [hit.run.run_id for hit in store.search(parse_query("marmalade"))] == ["b"]


def test_tables_of_an_earlier_version_are_brought_up_to_date(url: str) -> None:
    with Store() as store:
        store.start_run(make_run())
        store.append_step(RUN, make_step(1))
    for statement in ("DROP TABLE searched_step", "DROP TABLE bench", "DROP TABLE grade"):
        execute(url, statement)
    execute(url, "UPDATE schema_version SET version = 1")
    with Store() as store:
        assert found(store, "marmalade") == [1] and store.bench_ids() == []
        store.write_grade(GradeRecord(run_id=RUN, grader="g", grade={}, graded_at=MOMENT))


def _newer(address: str) -> None:
    Store(address).start_run(make_run())
    execute(address, f"UPDATE schema_version SET version = {SCHEMA_VERSION + 1}")


def _another_program(address: str) -> None:
    execute(address, "CREATE TABLE schema_version (installed_rank integer)")


@pytest.mark.parametrize(("prepare", "expected"), [(_newer, "newer finetrace"), (_another_program, "not finetrace's")])
def test_tables_that_are_not_ours_are_refused(url: str, prepare: Callable[[str], None], expected: str) -> None:
    prepare(url)
    for use in (lambda store: store.runs(), lambda store: store.start_run(make_run("another"))):
        with Store() as store, pytest.raises(FinetraceError, match=expected):
            use(store)


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(FinetraceError, match="does not answer") as refused:
        Store(f"postgresql://me:hush@/x?host={tmp_path}").runs()
    assert "hush" not in refused.value.message


WRITER = """
import sys
from sample_runs import make_run, make_step
from finetrace.store import Store

store, who = Store(), sys.argv[1]
store.start_run(make_run(who))
for number in range(1, 21):
    store.append_step(who, make_step(number, text=who))
    store.append_step("shared", make_step(number, text=who))
"""


def test_processes_make_the_tables_and_write_at_once(url: str) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(sample_runs.__file__).parent), *sys.path])}
    alone = WRITER.replace('store.append_step("shared"', "store.append_step(who")
    for code, names in ((alone, "ab"), (WRITER, "cd")):
        if "c" in names:
            Store().start_run(make_run("shared"))
        writers = [
            subprocess.Popen([sys.executable, "-c", code, name], env=environment, stderr=subprocess.PIPE, text=True)
            for name in names
        ]
        for writer in writers:
            assert (writer.communicate(timeout=120)[1], writer.returncode) == ("", 0)
    with Store() as store:
        assert sorted(store.run_ids()) == ["a", "b", "c", "d", "shared"]
        assert [step.number for step in store.steps("shared")] == list(range(1, 21))
        assert len(found(store, "c", limit=100)) >= 20


def test_the_command_line_lists_what_a_server_holds(url: str) -> None:
    Store().start_run(make_run())
    command = [sys.executable, "-m", "finetrace", "runs", "list", "--json"]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True)
    assert [run["run_id"] for run in json.loads(done.stdout)] == [RUN], done.stderr
