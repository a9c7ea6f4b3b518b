from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from filelock import FileLock
from rich.console import Console
from scripted import Desk, Scripted, WrittenPair, always, ask, submit

from finetrace.agent import Budget, make_investigator
from finetrace.cli.progress import progress_bar
from finetrace.errors import FinetraceError
from finetrace.schema import RunStatus, Step, StepKind, Verdict

NOTHING = submit(verdict=Verdict.NO_NARROW_OBJECTIVE)


def test_a_run_is_written_whole_before_anything_is_done(desk: Desk) -> None:
    run = desk.store.run(desk.start(budget=Budget(interactions=7), seed=5, quick=True).run_id)
    assert (run.status, run.seed, run.alias) == (RunStatus.RUNNING, 5, "organism-07")
    assert run.settings["budget"]["interactions"] == 7
    assert run.settings["thoroughness"]["quick"] is True
    assert desk.store.steps(run.run_id) == []


def test_no_run_is_written_for_an_arm_or_investigator_that_does_not_exist(desk: Desk) -> None:
    with pytest.raises(FinetraceError, match="no arm 'full-of-it'"):
        desk.start(arm="full-of-it")
    with pytest.raises(FinetraceError, match="no language model 'oracle'"):
        make_investigator("oracle")
    with pytest.raises(FinetraceError, match="no investigator 'statistcal'") as raised:
        make_investigator("statistcal")
    assert raised.value.hint == "did you mean statistical?"
    assert desk.store.runs() == []


def test_an_investigator_that_breaks_leaves_a_failed_run_that_can_be_resumed(desk: Desk) -> None:
    def break_down(case: object) -> None:
        raise ConnectionError("the provider is gone")

    run = desk.start()
    with pytest.raises(ConnectionError):
        desk.go_on(run, WrittenPair(always("words")), Scripted(break_down))
    failed = desk.store.run(run.run_id)
    assert failed.status is RunStatus.FAILED and failed.error == "ConnectionError: the provider is gone"
    ended = desk.go_on(run, WrittenPair(always("words")), Scripted(NOTHING))
    assert ended.run.status is RunStatus.FINISHED and ended.run.error is None


def test_a_damaged_file_of_checkpoints_is_named_and_left_as_it_is(desk: Desk) -> None:
    desk.checkpoints.write_bytes(b"not a database at all" * 100)
    run = desk.start()
    with pytest.raises(FinetraceError, match=r"checkpoints\.db is not a usable database") as raised:
        desk.go_on(run, WrittenPair(always("words")), Scripted(NOTHING))
    assert "move it away" in raised.value.hint
    assert desk.checkpoints.read_bytes().startswith(b"not a database")
    desk.checkpoints.unlink()
    assert desk.go_on(run, WrittenPair(always("words")), Scripted(NOTHING)).run.status is RunStatus.FINISHED


def test_a_run_waits_while_another_makes_the_file_of_checkpoints(desk: Desk) -> None:
    """SQLite itself does not wait there: of runs that began together, one in some hundred failed."""
    run = desk.start()
    with ThreadPoolExecutor(1) as pool:
        with FileLock(desk.folder / ".checkpoints.db.lock"):
            ended = pool.submit(desk.go_on, run, WrittenPair(always("words")), Scripted(NOTHING))
            with pytest.raises(TimeoutError):
                ended.result(timeout=0.5)
        assert ended.result(timeout=60).run.status is RunStatus.FINISHED


def test_two_do_not_go_on_with_one_run(desk: Desk) -> None:
    run = desk.start()

    def meet(step: Step) -> None:
        with pytest.raises(FinetraceError, match=f"another process is at work on run {run.run_id}"):
            desk.go_on(run, WrittenPair(always("words")))

    ended = desk.go_on(run, WrittenPair(always("words")), Scripted(ask(), NOTHING), on_step=meet)
    assert ended.run.status is RunStatus.FINISHED
    assert not list(desk.folder.glob(".run-*")), "what keeps others away is gone when the run has ended"


def test_a_checkpoint_of_a_run_that_was_deleted_is_not_taken_for_one_of_its_successor(desk: Desk) -> None:
    run = desk.start()
    desk.go_on(run, WrittenPair(always("words")), Scripted(ask(), NOTHING))
    desk.store.delete_run(run.run_id)
    desk.store.start_run(run)
    again = desk.go_on(run, WrittenPair(always("words")), Scripted(ask(), NOTHING))
    assert [step.kind for step in again.steps][-1] is StepKind.ANSWER and len(again.steps) > 2


def test_a_stage_has_one_bar_until_it_begins_anew() -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=100)
    with progress_bar(console) as advance:
        for stage, done, total in (("a", 0, 2), ("a", 1, 2), ("a", 2, 2), ("a", 2, 2), ("none", 0, 0), ("a", 0, 3)):
            advance(stage, done, total)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert printed.count("2/2") == 1 and printed.count("0/3") == 1 and "none" not in printed
