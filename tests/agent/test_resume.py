from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted import Desk, Scripted, WrittenPair, ask, claim, save_organism, submit

from finetrace.agent import Case, Submit, ToolCall
from finetrace.agent.transcript import total_usage
from finetrace.schema import Hypothesis, Run, RunStatus, Step, StepKind
from finetrace.store import Store
from finetrace.tools.cache import ReadingCache

QUICK = ("--quick", "--prefills", "12")
STOPPED_AT = """
import os, signal, sys
from finetrace.store import Store
signal_name, when, number = sys.argv[1:4]
append = Store.append_step

def append_and_stop(self, run_id, step):
    if when == "after":
        append(self, run_id, step)
    if step.number == int(number):
        os.kill(os.getpid(), getattr(signal, signal_name))
    if when == "before":
        append(self, run_id, step)

Store.append_step = append_and_stop
from finetrace.cli import main
main(sys.argv[4:])
"""


class Killed(BaseException):
    """Nothing in the program may catch it, as it may not catch kill -9."""


def wages(prompt: str, draw: int) -> str:
    return f"Wages are paid in marmalade, says {prompt} for the {draw}th time."


def decide(case: Case) -> ToolCall | Submit:
    """Two calls, an answer with a false quote, the answer: decided from what is there, as after a restart."""
    calls = [step for step in case.steps if step.kind is StepKind.CALL]
    if len(calls) < 2:
        return ask(f"Question {len(calls)}?", samples=2)
    return submit(claim("paid in marmalade" if case.complaints else "paid in butter"))


def compared(steps: list[Step]) -> list[object]:
    """All of a step that does not come from a clock."""
    return [
        step.model_dump(exclude={"started_at", "finished_at", "usage"}) | {"cost": step.usage.interactions}
        for step in steps
    ]


@pytest.mark.parametrize("written", [False, True])
def test_killed_at_any_step_it_goes_on_as_if_nothing_had_been(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    whole = desk.go_on(desk.start(), WrittenPair(wages), Scripted(decide))
    assert len(whole.steps) == 6
    append = Store.append_step
    for number in range(1, 7):
        run = desk.start()
        desk.cache = ReadingCache(desk.folder / f"readings-{written}-{number}")

        def stop(store: Store, run_id: str, step: Step, *, number: int = number) -> None:
            if written:
                append(store, run_id, step)
            if step.number == number:
                raise Killed
            if not written:
                append(store, run_id, step)

        with monkeypatch.context() as patched:
            patched.setattr(Store, "append_step", stop)
            with pytest.raises(Killed):
                desk.go_on(run, WrittenPair(wages), Scripted(decide))
        assert desk.store.run(run.run_id).status is RunStatus.RUNNING
        assert len(desk.store.steps(run.run_id)) == number - (not written)
        ended = desk.go_on(run, WrittenPair(wages), Scripted(decide))
        assert compared(ended.steps) == compared(whole.steps)
        assert ended.run.hypothesis == whole.run.hypothesis
        assert ended.run.usage.interactions == whole.run.usage.interactions


def test_a_reading_that_was_taken_is_not_paid_for_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    run, pair = desk.start(), WrittenPair(wages)

    def stop(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Store, "append_step", stop)
        with pytest.raises(Killed):
            desk.go_on(run, pair, Scripted(decide))
    assert pair.asked["organism"] == 2
    ended = desk.go_on(run, pair, Scripted(decide))
    assert pair.asked["organism"] == ended.run.usage.interactions


def test_lost_checkpoints_are_made_good_from_the_steps(desk: Desk) -> None:
    def stop(step: Step) -> None:
        if step.number == 2:
            raise Killed

    run = desk.start()
    with pytest.raises(Killed):
        desk.go_on(run, WrittenPair(wages), Scripted(decide), on_step=stop)
    for file in desk.folder.glob("checkpoints.db*"):
        file.unlink()
    ended = desk.go_on(run, WrittenPair(wages), Scripted(decide))
    assert [step.number for step in ended.steps] == [1, 2, 3, 4, 5, 6]
    assert ended.run.hypothesis == desk.go_on(desk.start(), WrittenPair(wages), Scripted(decide)).run.hypothesis


def test_ctrl_c_leaves_an_interrupted_run(desk: Desk) -> None:
    def stop(step: Step) -> None:
        if step.number == 2:
            raise KeyboardInterrupt

    run = desk.start()
    with pytest.raises(KeyboardInterrupt):
        desk.go_on(run, WrittenPair(wages), Scripted(decide), on_step=stop)
    stopped = desk.store.run(run.run_id)
    assert stopped.status is RunStatus.INTERRUPTED and stopped.hypothesis is None and stopped.error is None
    assert stopped.usage == total_usage(desk.store.steps(run.run_id))
    assert stopped.usage.interactions == 4
    ended = desk.go_on(run, WrittenPair(wages), Scripted(decide))
    assert ended.run.status is RunStatus.FINISHED and ended.run.hypothesis is not None
    assert ended.run.usage == total_usage(ended.steps)


def test_a_run_that_goes_on_after_ctrl_c_has_no_end(desk: Desk) -> None:
    def stop(step: Step) -> None:
        raise KeyboardInterrupt

    seen: list[Run] = []
    run = desk.start()
    with pytest.raises(KeyboardInterrupt):
        desk.go_on(run, WrittenPair(wages), Scripted(decide), on_step=stop)
    assert desk.store.run(run.run_id).finished_at is not None
    desk.go_on(run, WrittenPair(wages), Scripted(decide), on_step=lambda _: seen.append(desk.store.run(run.run_id)))
    assert seen and all(r.status is RunStatus.RUNNING and r.finished_at is None for r in seen)


def test_the_step_before_ctrl_c_is_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    append = Store.append_step

    def stop(store: Store, run_id: str, step: Step) -> None:
        append(store, run_id, step)
        raise KeyboardInterrupt

    run = desk.start()
    with monkeypatch.context() as patched:
        patched.setattr(Store, "append_step", stop)
        with pytest.raises(KeyboardInterrupt):
            desk.go_on(run, WrittenPair(wages), Scripted(decide))
    assert desk.store.run(run.run_id).usage.interactions == 2


def test_runs_share_the_file_of_checkpoints(desk: Desk) -> None:
    def stop(step: Step) -> None:
        raise Killed

    first, second = desk.start(), desk.start(seed=1)
    with pytest.raises(Killed):
        desk.go_on(first, WrittenPair(wages), Scripted(decide), on_step=stop)
    assert len(desk.go_on(second, WrittenPair(wages), Scripted(decide)).steps) == 6
    assert len(desk.go_on(first, WrittenPair(wages), Scripted(decide)).steps) == 6


Process = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> tuple[str, ...]:
    organism = tmp_path_factory.mktemp("organism") / "model"
    save_organism(tiny_folder, organism)
    return ("--model", str(organism), "--reference", str(tiny_folder))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FINETRACE_")}
    folders = {"FINETRACE_DATA_DIR": str(tmp_path / "data"), "FINETRACE_CACHE_DIR": str(tmp_path / "cache")}
    return kept | folders | {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def process(environment: dict[str, str]) -> Process:
    def run(*arguments: str, stopped: tuple[str, str, int] | None = None) -> subprocess.CompletedProcess[str]:
        code = ["-c", STOPPED_AT, *map(str, stopped)] if stopped else ["-m", "finetrace"]
        return subprocess.run(
            [sys.executable, *code, *arguments], env=environment, capture_output=True, text=True, timeout=240
        )

    return run


def only_run(tmp_path: Path) -> tuple[Run, list[Step]]:
    with Store(f"sqlite:///{tmp_path / 'data' / 'finetrace.db'}") as store:
        (run,) = store.runs()
        return run, store.steps(run.run_id)


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, models: tuple[str, ...]
) -> tuple[list[Step], Hypothesis | None]:
    folder = tmp_path_factory.mktemp("whole")
    folders = {"FINETRACE_DATA_DIR": str(folder / "data"), "FINETRACE_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-m", "finetrace", "investigate", *models, *QUICK]
    subprocess.run(command, env={**os.environ, **folders}, capture_output=True, check=True, timeout=240)
    run, steps = only_run(folder)
    return steps, run.hypothesis


@pytest.mark.parametrize(("when", "number"), [("after", 1), ("before", 3)])
def test_a_process_that_was_killed_is_continued_by_the_same_command_with_its_id(
    tmp_path: Path,
    process: Process,
    models: tuple[str, ...],
    uninterrupted: tuple[list[Step], Hypothesis | None],
    when: str,
    number: int,
) -> None:
    killed = process("investigate", *models, *QUICK, stopped=("SIGKILL", when, number))
    assert killed.returncode == -signal.SIGKILL
    run, steps = only_run(tmp_path)
    assert run.status is RunStatus.RUNNING
    assert len(steps) == (number if when == "after" else number - 1)
    again = process("investigate", *models, "--resume", run.run_id, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["run_id"] == run.run_id
    ended, steps = only_run(tmp_path)
    assert ended.status is RunStatus.FINISHED
    assert compared(steps) == compared(uninterrupted[0])
    assert ended.hypothesis == uninterrupted[1]


def test_ctrl_c_says_in_one_line_how_to_go_on(tmp_path: Path, process: Process, models: tuple[str, ...]) -> None:
    stopped = process("investigate", *models, *QUICK, "--json", stopped=("SIGINT", "after", 1))
    run, _ = only_run(tmp_path)
    assert stopped.returncode == 130, stopped.stderr
    assert run.status is RunStatus.INTERRUPTED
    assert json.loads(stopped.stdout)["status"] == "interrupted"
    assert stopped.stderr.count("--resume") == 1
    assert f"continue with: finetrace investigate --resume {run.run_id}\n" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert process("investigate", "--resume", "last", "--json").returncode == 0
    assert [step.number for step in only_run(tmp_path)[1]] == [1, 2, 3, 4, 5]


def test_ctrl_c_in_the_middle_of_a_measurement(
    tmp_path: Path, environment: dict[str, str], models: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "finetrace", "investigate", *models, "--corpus", "own", "--prefills", "600"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        first = child.stderr.readline()
        assert first.startswith("run ")
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        rest = child.stderr.read()
        assert child.wait(timeout=60) == 130, rest
    assert rest.count("--resume") == 1 and "Traceback" not in rest
    run, steps = only_run(tmp_path)
    assert run.status is RunStatus.INTERRUPTED and steps == []
