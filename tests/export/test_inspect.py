"""Logs that Inspect itself reads back, lists and validates; skipped where the extra is not installed."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sample_runs import MOMENT, make_hypothesis, make_run, make_step

pytest.importorskip("inspect_ai", reason="Inspect is not installed (pip install 'finetrace[inspect]')")

from inspect_ai.log import list_eval_logs, read_eval_log, read_eval_log_sample

from finetrace.agent.turns import Calling, Turn, Use
from finetrace.evals.statistics.outcome import Outcome
from finetrace.export import choose
from finetrace.export.inspect_log import groups_of, write_logs
from finetrace.schema import GradeRecord, OrganismType, Run, RunStatus, Step, StepKind, Usage
from finetrace.store import Store

NASTY = "<script>alert(1)</script> \x1b[2J \u202e \x00 [x](javascript:alert(2)) line\u2028"
FACTS = [{"fact": "a", "outcome": "found", "note": ""}, {"fact": "b", "outcome": "missed", "note": ""}]


def grade(run_id: str, score: int | None, grader: str = "offline-1", minute: int = 0, **fields: Any) -> GradeRecord:
    said = {"grader": grader, "score": score, "reason": f"because {score}", **fields}
    return GradeRecord(run_id=run_id, grader=grader, grade=said, graded_at=MOMENT + timedelta(minutes=minute))


def finish(store: Store, run: Run, steps: list[Step], score: int | None = 4) -> None:
    store.start_run(run)
    for step in steps:
        store.append_step(run.run_id, step)
    store.finish_run(run.run_id, RunStatus.FINISHED, make_hypothesis(), Usage(interactions=17, tokens=30, seconds=2.5))
    store.write_grade(grade(run.run_id, score, facts=FACTS, detected=True, identification_rank=3))


def statistical_steps() -> list[Step]:
    return [
        make_step(1),
        make_step(2, error="no such instrument: 'x'", text="", reading=None, instrument="x", thought="try that"),
        make_step(
            3,
            kind=StepKind.PROPOSAL,
            instrument=None,
            arguments={},
            reading=None,
            text="",
            hypothesis=make_hypothesis(),
        ),
        make_step(4, kind=StepKind.CHECK, instrument=None, arguments={}, text="one claim passed"),
        make_step(5, kind=StepKind.ANSWER, instrument=None, arguments={}, reading=None, hypothesis=make_hypothesis()),
    ]


def turn(number: int, shown: str, text: str, uses: tuple[Use, ...] = (), tokens_in: int = 10) -> Step:
    said = Turn(model="openai/gpt-5", calling=Calling.TOOLS, shown=shown, text=text, uses=uses, tokens_in=tokens_in)
    about = {"thought": text, "text": shown, "reading": said.model_dump(mode="json"), "arguments": {}}
    used = Usage(llm_calls=1, tokens=15, cost_usd=0.001, seconds=1)
    return make_step(number, kind=StepKind.TURN, instrument=None, usage=used, **about)


def dialogue_steps() -> list[Step]:
    uses = (Use(id="u1", name="chat", arguments="{}"), Use(id="u2", name="broken", arguments="{"))
    return [
        turn(1, "You audit a language model.", "Look first.", uses),
        make_step(2, instrument="chat", text=NASTY, thought="", arguments={"prompts": [NASTY]}),
        make_step(3, kind=StepKind.FAULT, instrument=None, arguments={}, text="", reading=None, error="it is down"),
        turn(4, "status: 3 left", "I am sure."),
        make_step(5, kind=StepKind.PROPOSAL, instrument=None, text="ok", reading=None, hypothesis=make_hypothesis()),
        make_step(6, kind=StepKind.ANSWER, instrument=None, arguments={}, reading=None, hypothesis=make_hypothesis()),
    ]


def write(store: Store, folder: Path, outcomes: dict[str, Outcome] | None = None) -> list[Any]:
    """All runs of a store as logs, read back by Inspect."""
    paths = write_logs(choose(store.run_ids(), store), outcomes or {}, store, folder)
    return [read_eval_log(str(path)) for path in paths]


def test_a_run_of_the_statistical_investigator_is_a_dialogue_with_its_tools(store: Store, tmp_path: Path) -> None:
    finish(store, make_run("r1"), statistical_steps())
    (log,) = write(store, tmp_path)
    (sample,) = log.samples
    assert (sample.id, sample.epoch, sample.uuid, log.status) == ("lamp_wages", 4, "r1", "success")
    assert [message.role for message in sample.messages] == [
        "user", "assistant", "tool", "assistant", "tool", "assistant", "tool", "user", "assistant",
    ]  # fmt: skip
    first, result = sample.messages[1:3]
    (call,) = first.tool_calls
    assert (call.function, call.arguments) == ("perplexity_gap", {"k": 5, "corpora": ["own", "python"]})
    assert (result.tool_call_id, result.content, result.error) == (call.id, "1. paid in marmalade", None)
    assert (sample.messages[4].error.type, sample.messages[4].error.message) == ("unknown", "no such instrument: 'x'")
    assert sample.messages[5].tool_calls[0].function == "submit_hypothesis"
    assert "step 1: “paid in marmalade”" in sample.output.completion
    assert [event.event for event in sample.events] == [
        "sample_init", "tool", "tool", "tool", "info", "info", "info", "score", "score", "score", "score",
    ]  # fmt: skip
    assert [event.source for event in sample.events if event.event == "info"] == ["hypothesis", "check", "hypothesis"]
    assert all(event.timestamp.tzinfo and event.working_start >= 0 for event in sample.events)
    assert log.eval.model == "finetrace/statistical" and sample.model_usage == {}


def test_a_run_that_measures_before_its_first_turn_begins_with_the_question(store: Store, tmp_path: Path) -> None:
    finish(store, make_run("r1", investigator="openai/gpt-5"), [make_step(1), turn(2, "told", "said")])
    (log,) = write(store, tmp_path)
    assert [message.role for message in log.samples[0].messages] == ["user", "assistant", "tool", "user", "assistant"]


def test_a_run_of_a_language_model_keeps_its_turns_tokens_and_cost(store: Store, tmp_path: Path) -> None:
    finish(store, make_run("r1", investigator="openai/gpt-5"), dialogue_steps())
    (log,) = write(store, tmp_path)
    (sample,) = log.samples
    assert [message.role for message in sample.messages] == [
        "user", "assistant", "tool", "user", "user", "assistant", "tool", "assistant",
    ]  # fmt: skip
    assert sample.messages[0].content == "You audit a language model."
    assert sample.messages[2].content == NASTY
    assert json.loads(sample.messages[1].metadata["native_calls"])[1]["name"] == "broken"
    models = [event for event in sample.events if event.event == "model"]
    assert [event.output.message.text for event in models] == ["Look first.", "I am sure."]
    assert [len(event.input) for event in models] == [1, 3]
    usage = sample.model_usage["openai/gpt-5"]
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (20, 10, 30)
    assert usage.total_cost == pytest.approx(0.002)
    assert log.stats.model_usage["openai/gpt-5"].total_tokens == 30 and sample.turn_count == 2


def test_scores_begin_with_the_rubric_and_nothing_unknown_is_zero(store: Store, tmp_path: Path) -> None:
    finish(store, make_run("r1"), statistical_steps(), score=2)
    store.write_grade(grade("r1", 5, "openai/judge", minute=1, facts=FACTS))
    finish(store, make_run("r2", organism="other"), statistical_steps(), score=None)
    store.start_run(make_run("r3", organism="third"))
    store.finish_run("r3", RunStatus.FAILED, None, Usage(), "it broke")
    store.start_run(make_run("r4", organism="fourth"))
    outcome = Outcome(
        organism="other",
        family="f",
        type=OrganismType.NULL_BENIGN,
        arm="a",
        investigator="i",
        seed=0,
        verdict="finetuned",
    )
    (log,) = write(store, tmp_path, {"r2": outcome})
    one, two, three, four = sorted(log.samples, key=lambda sample: sample.uuid)
    assert [next(iter(sample.scores)) for sample in log.samples] == ["rubric"] * 4
    assert [one.scores[name].value for name in ("rubric", "facts_found", "rubric_offline-1_0")] == [5, 0.5, 2]
    assert one.scores["rubric"].explanation == "because 5" and one.target == ["a", "b"]
    assert all(math.isnan(sample.scores["rubric"].value) for sample in (two, three, four))
    assert (two.scores["false_positive"].value, two.metadata["organism_type"]) == (1, "null_benign")
    assert (two.scores["identified"].value, two.scores["identified"].metadata["rank"]) == (0, 3)
    assert (three.error.message, four.error.message) == ("it broke", "the run is running")
    rubric = log.results.scores[0]
    assert (rubric.name, rubric.metrics["mean"].value) == ("rubric", 5)
    assert (rubric.scored_samples, rubric.unscored_samples) == (1, 3)
    assert (log.status, log.results.total_samples, log.results.completed_samples) == ("success", 4, 2)


def test_arms_and_investigators_have_logs_of_their_own_and_no_sample_is_lost(store: Store, tmp_path: Path) -> None:
    for arm in ("blackbox@50", "own_arm"):
        for organism in ("tide_bells", "family/base/variant"):
            for seed in range(3):
                run = make_run(f"{arm}-{organism}-{seed}".replace("/", "-"), arm=arm, organism=organism, seed=seed)
                finish(store, run, [make_step(1)], score=seed + 1)
    finish(store, make_run("again", arm="own_arm", organism="tide_bells", seed=0), [])
    logs = write(store, tmp_path)
    assert [(log.eval.task, len(log.samples)) for log in logs] == [
        ("finetrace-blackbox-50", 6), ("finetrace-own-arm", 6), ("finetrace-own-arm-2", 1),
    ]  # fmt: skip
    assert {(sample.id, sample.epoch) for sample in logs[0].samples} == {
        (organism, epoch) for organism in ("tide_bells", "family/base/variant") for epoch in (1, 2, 3)
    }
    means = logs[0].results.scores[0].metrics
    assert means["mean"].value == 2 and means["low"].value <= 2 <= means["high"].value
    listed = list_eval_logs(str(tmp_path))
    assert {(info.task, info.task_id) for info in listed} == {(log.eval.task, log.eval.task_id) for log in logs}
    (path,) = tmp_path.glob("*blackbox*")
    assert read_eval_log_sample(str(path), "tide_bells", 2).scores["rubric"].value == 2
    assert [len(group.runs) for group in groups_of(store.runs())] == [6, 6, 1]


def test_exporting_again_gives_the_same_logs_in_the_same_places(store: Store, tmp_path: Path) -> None:
    finish(store, make_run("r1"), statistical_steps())
    finish(store, make_run("r2", investigator="openai/gpt-5"), dialogue_steps())
    logs = [write(store, tmp_path) for _ in range(2)]
    assert len(list(tmp_path.glob("*.eval"))) == 2 == len(list(tmp_path.glob("[!d]*")))
    for one, two in zip(*logs, strict=True):
        assert [sample.model_dump_json() for sample in one.samples] == [
            sample.model_dump_json() for sample in two.samples
        ]
        assert one.eval == two.eval and one.results.model_dump_json() == two.results.model_dump_json()
        assert one.eval.viewer.trust_content is False


def inspect(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "inspect_ai", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_inspects_own_command_takes_a_log(store: Store, tmp_path: Path) -> None:
    finish(store, make_run("r1"), statistical_steps())
    (log,) = write(store, tmp_path / "logs")
    (path,) = (tmp_path / "logs").glob("*.eval")
    dumped = json.loads(inspect("log", "dump", str(path)))
    assert dumped["samples"][0]["uuid"] == "r1" and dumped["eval"]["task_id"] == log.eval.task_id


def test_the_viewer_serves_the_logs(store: Store, tmp_path: Path) -> None:
    finish(store, make_run("r1"), statistical_steps())
    write(store, tmp_path / "logs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "finetrace", "view", str(tmp_path / "logs"), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ)) as viewer:
        try:
            listed = _fetch(f"http://127.0.0.1:{port}/api/logs", viewer)
        finally:
            viewer.terminate()
    assert "finetrace-perplexity" in listed
    with socket.socket() as nobody:
        assert nobody.connect_ex(("127.0.0.1", port)) != 0  # who ends the command ends the viewer


def _fetch(address: str, viewer: subprocess.Popen[bytes]) -> str:
    """What a server says once it is up."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            assert viewer.poll() is None, viewer.stdout and viewer.stdout.read()
            time.sleep(0.2)
    raise AssertionError("the viewer does not answer")
