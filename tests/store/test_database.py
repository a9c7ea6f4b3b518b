from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import sample_runs
from pydantic import ValidationError
from sample_runs import MOMENT, make_hypothesis, make_run, make_step

from finetrace.errors import FinetraceError
from finetrace.schema import RunStatus, Step, StepKind, Usage, Verdict
from finetrace.store import Store, new_run_id


def test_a_run_and_its_steps_come_back_as_they_were(store: Store) -> None:
    run, hypothesis = make_run(), make_hypothesis()
    steps = [
        make_step(1),
        make_step(2, kind=StepKind.CALL, reading=None, error="no such instrument: 'x'", text=""),
        make_step(3, kind=StepKind.ANSWER, instrument=None, hypothesis=hypothesis),
    ]
    store.start_run(run)
    for step in reversed(steps):
        store.append_step(run.run_id, step)
    store.finish_run(run.run_id, RunStatus.FINISHED, hypothesis, Usage(interactions=15, cost_usd=None))
    store.close()

    again = Store()
    assert again.steps(run.run_id) == steps
    found = again.run(run.run_id)
    assert found.finished_at is not None
    assert found.finished_at.utcoffset() == timedelta(0)
    changed = {"status", "hypothesis", "usage", "finished_at"}
    assert found.model_dump(exclude=changed) == run.model_dump(exclude=changed)
    assert (found.status, found.hypothesis) == (RunStatus.FINISHED, hypothesis)
    assert found.usage == Usage(interactions=15, cost_usd=None)


def test_a_step_written_twice_stays_as_first_written(store: Store) -> None:
    store.start_run(make_run())
    store.append_step(make_run().run_id, make_step(1, text="first"))
    store.append_step(make_run().run_id, make_step(1, text="second"))
    assert [step.text for step in store.steps(make_run().run_id)] == ["first"]


def test_a_step_of_a_run_that_is_not_there_is_refused(store: Store) -> None:
    store.start_run(make_run("20261121-093015-aaaaaa"))
    with pytest.raises(FinetraceError) as refused:
        store.append_step("20261121-093015-aaaaab", make_step(1))
    assert "20261121-093015-aaaaaa" in refused.value.hint
    for change in (
        lambda: store.set_status("nobody", RunStatus.FAILED),
        lambda: store.finish_run("nobody", RunStatus.FAILED, None, Usage()),
        lambda: store.run("nobody"),
        lambda: store.steps("nobody"),
    ):
        with pytest.raises(FinetraceError, match="no run 'nobody'"):
            change()


def test_an_id_is_used_once(store: Store) -> None:
    store.start_run(make_run())
    with pytest.raises(FinetraceError, match="already"):
        store.start_run(make_run(organism="another"))
    assert store.run(make_run().run_id).organism == "lamp_wages"


def test_ids_are_unique_and_sort_by_time() -> None:
    ids = [new_run_id() for _ in range(200)]
    assert len(set(ids)) == 200
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{6}", run_id) for run_id in ids)
    assert [run_id[:15] for run_id in ids] == sorted(run_id[:15] for run_id in ids)


def test_the_newest_run_comes_first(store: Store) -> None:
    for age, run_id in ((2, "a"), (0, "b"), (1, "c")):
        store.start_run(make_run(run_id, started_at=MOMENT - timedelta(hours=age)))
    assert [run.run_id for run in store.runs()] == ["b", "c", "a"]
    assert store.find("last").run_id == "b"


def test_a_run_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    for run_id in ("20261121-1a2b", "20261121-1a2bcc", "20261122-77"):
        store.start_run(make_run(run_id))
    assert store.find("20261122").run_id == "20261122-77"
    assert store.find("20261121-1a2b").run_id == "20261121-1a2b"
    with pytest.raises(FinetraceError) as several:
        store.find("20261121")
    assert "2 runs begin with" in several.value.message
    assert "20261121-1a2bcc" in several.value.hint
    with pytest.raises(FinetraceError) as none:
        store.find("20261121-1a2bxx")
    assert "20261121-1a2bcc" in none.value.hint


def test_a_run_that_starts_again_has_neither_an_end_nor_an_error(store: Store) -> None:
    store.start_run(make_run())
    store.finish_run(make_run().run_id, RunStatus.INTERRUPTED, None, Usage(), "Ctrl-C")
    assert store.run(make_run().run_id).error == "Ctrl-C"
    store.set_status(make_run().run_id, RunStatus.RUNNING)
    found = store.run(make_run().run_id)
    assert (found.status, found.finished_at, found.error) == (RunStatus.RUNNING, None, None)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_what_is_not_valid_is_not_written(store: Store) -> None:
    store.start_run(make_run())
    broken = make_step(1).model_copy(update={"number": 0})
    with pytest.raises(ValidationError):
        store.append_step(make_run().run_id, broken)
    with pytest.raises(ValidationError):
        store.start_run(make_run("another").model_copy(update={"status": "sleeping"}))
    unsure = make_hypothesis().model_copy(update={"verdict": "perhaps"})
    with pytest.raises(ValidationError):
        store.finish_run(make_run().run_id, RunStatus.FINISHED, unsure, Usage())
    assert store.steps(make_run().run_id) == []
    assert [run.status for run in store.runs()] == [RunStatus.RUNNING]


def test_odd_text_and_numbers_survive(store: Store) -> None:
    odd = "line\u2028break \x1b[31m \u202e bidi \x00 nul 😀 ' \" \\"
    step = make_step(1, text=odd, arguments={odd: [odd, 1e-300, 2**53, True, None]})
    store.start_run(make_run())
    store.append_step(make_run().run_id, step)
    store.append_step(
        make_run().run_id,
        make_step(2, reading={"instrument": "x", "values": [float("nan"), float("inf"), 1.5]}),
    )
    first, second = store.steps(make_run().run_id)
    assert first == step
    assert second.reading == {"instrument": "x", "values": [None, None, 1.5]}


def test_reading_an_empty_place_makes_no_database(store: Store, data_dir: Path) -> None:
    assert store.runs() == []
    assert store.version() is None
    with pytest.raises(FinetraceError, match="no run yet"):
        store.find("last")
    with pytest.raises(FinetraceError) as unknown:
        store.run("x")
    assert "no run yet" in unknown.value.hint
    assert not data_dir.exists()


WRITER = """
import sys
from sample_runs import make_run, make_step
from finetrace.store import Store

store, who = Store(), sys.argv[1]
store.start_run(make_run(who))
for number in range(1, 31):
    store.append_step(who, make_step(number, text=who))
    store.append_step("shared", make_step(number, text=who))
"""


READER = """
from finetrace.store import Store
from finetrace.store.query import parse_query

seen = [0]
while seen[-1] < 90:
    with Store() as store:
        seen.append(sum(len(store.steps(run.run_id)) for run in store.runs()))
        found = len(store.search(parse_query("marmalade"), limit=1000))
    assert found >= seen[-1], (found, seen)  # a step is never there without its words
assert seen == sorted(seen)
"""


def test_two_processes_write_at_once_and_a_third_reads(data_dir: Path) -> None:
    store = Store()
    store.start_run(make_run("shared"))
    store.close()
    with subprocess.Popen([sys.executable, "-c", READER], env=_environment(), stderr=subprocess.PIPE) as reader:
        _run_writers("a", "b")
        _, errors = reader.communicate(timeout=120)
    assert reader.returncode == 0, errors.decode()
    for who in ("a", "b"):
        assert [step.number for step in store.steps(who)] == list(range(1, 31))
    assert [step.number for step in store.steps("shared")] == list(range(1, 31))
    assert {step.text for step in store.steps("shared")} <= {"a", "b"}


def test_two_processes_make_the_database_at_once(data_dir: Path) -> None:
    script = WRITER.replace('    store.append_step("shared"', "    store.append_step(who")
    _run_writers("a", "b", "c", script=script)
    assert {run.run_id for run in Store().runs()} == {"a", "b", "c"}
    leftovers = [path.name for path in data_dir.iterdir() if path.suffix == ".new"]
    assert not leftovers


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(sample_runs.__file__).parent)}


def _run_writers(*names: str, script: str = WRITER) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", script, name], env=_environment(), stderr=subprocess.PIPE, text=True)
        for name in names
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors


ENDLESS = """
import itertools
from sample_runs import make_run, make_step
from finetrace.store import Store

store = Store()
store.start_run(make_run())
for number in itertools.count(1):
    store.append_step(make_run().run_id, make_step(number, text="x" * 5000))
    print(number, flush=True)
"""


def test_a_killed_writer_loses_and_doubles_nothing(data_dir: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS], env=_environment(), stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(25)]
        writer.kill()
        told += [int(line) for line in writer.stdout.read().split()]
    with Store() as store:
        numbers = [step.number for step in store.steps(make_run().run_id)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) in {told[-1], told[-1] + 1}
        for number in (numbers[-1], numbers[-1] + 1):
            store.append_step(make_run().run_id, make_step(number, text="again"))
        steps = store.steps(make_run().run_id)
        assert [step.number for step in steps] == [*numbers, numbers[-1] + 1]
        assert [step.text for step in steps].count("again") == 1


FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from sample_runs import make_run, make_step
from finetrace.errors import FinetraceError
from finetrace.store import Store

store = Store()
try:
    store.start_run(make_run("big", settings={"x": "y" * 400_000}))
except FinetraceError as refused:
    print(refused.message)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
@pytest.mark.parametrize("limit", [8_000, 200_000])
def test_a_full_disk_is_told_and_loses_nothing(data_dir: Path, limit: int) -> None:
    is_new = limit < 100_000
    if not is_new:
        with Store() as store:
            store.start_run(make_run())
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(limit)], env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "disk" in done.stdout
    with Store() as store:
        assert [run.run_id for run in store.runs()] == ([] if is_new else [make_run().run_id])
    assert (data_dir / "finetrace.db").exists() is not is_new
    assert not list(data_dir.glob("*.new"))


def test_steps_can_be_read_while_they_are_written(store: Store, data_dir: Path) -> None:
    store.start_run(make_run())
    reader = Store()
    seen: list[list[Step]] = []
    for number in (1, 2, 3):
        store.append_step(make_run().run_id, make_step(number))
        seen.append(reader.steps(make_run().run_id))
    assert [len(steps) for steps in seen] == [1, 2, 3]


def test_the_answer_keeps_its_verdict_as_a_plain_word(store: Store) -> None:
    store.start_run(make_run())
    store.finish_run(make_run().run_id, RunStatus.FINISHED, make_hypothesis(), Usage())
    hypothesis = store.run(make_run().run_id).hypothesis
    assert hypothesis is not None
    assert hypothesis.verdict is Verdict.FINETUNED
