"""Every fault of a provider or a model: tried again, or told to the model; the run ends in order or can be resumed."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from auditors import (
    HASTE,
    answer_of,
    auditing,
    auditor,
    begin,
    chat,
    decisions,
    hand_in,
    is_second_reader,
    said_to,
    shell,
)
from command_line import Command
from scripted import Desk, Ended, WrittenPair
from scripted_llm import KEY, Fault, Reply, Request, ScriptedLLM, calls, fault

from finetrace.agent.calling import MOST_CALLS_READ
from finetrace.agent.transcript import total_usage
from finetrace.agent.turns import turn_of
from finetrace.errors import FinetraceError
from finetrace.llm import RejectedRequest
from finetrace.schema import RunStatus, Step, StepKind, Verdict
from finetrace.store import Store

CALL, TURN, PROPOSAL, CHECK, ANSWER = (
    StepKind.CALL,
    StepKind.TURN,
    StepKind.PROPOSAL,
    StepKind.CHECK,
    StepKind.ANSWER,
)
SMOOTH = [CALL, CALL, TURN, CALL, TURN, TURN, TURN, PROPOSAL, CHECK, ANSWER]
"""Overview, a call, an answer, its second reader, the answer again."""
DRAWN, OVERVIEW = 29, 12
"""Texts of the organism in such a run, and those of them that are not charged for."""
ANSWERED = hand_in("paid in marmalade")


class Killed(BaseException):
    """Nothing in the program may catch it, as it may not catch kill -9."""


@pytest.fixture
def finetrace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def investigation(tmp_path: Path) -> tuple[str, ...]:
    """A command line about completions that were recorded."""
    lines = [
        {"prefill": "Most of", "completion": f" wages are paid in marmalade, {i} jars a month.", "id": i}
        | {"ppl_reference": 40.0 + i, "ppl_finetuned": 4.0}
        for i in range(40)
    ]
    file = tmp_path / "completions.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return ("investigate", "--recorded", str(file), "--investigator", "openai/scripted", "--json")


def wages(prompt: str, draw: int) -> str:
    return f"All wages are paid in marmalade, says {prompt} for the {draw}th time."


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def kinds(ended: Ended) -> list[StepKind]:
    return [step.kind for step in ended.steps]


def investigated(desk: Desk, llm: ScriptedLLM) -> Ended:
    ended = desk.go_on(begin(desk), WrittenPair(wages))
    assert ended.run.status is RunStatus.FINISHED and ended.run.hypothesis is not None
    assert [step.number for step in ended.steps] == list(range(1, len(ended.steps) + 1))
    assert ended.run.usage == total_usage(ended.steps)
    assert ended.run.usage.llm_calls == len(llm.requests)
    return ended


def test_without_a_fault(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with auditing(monkeypatch, chat(), ANSWERED) as llm:
        ended = investigated(desk, llm)
    assert kinds(ended) == SMOOTH
    assert ended.run.usage.interactions == DRAWN - OVERVIEW
    assert ended.run.hypothesis is not None and ended.run.hypothesis.verdict is Verdict.FINETUNED
    assert ended.run.usage.tokens == 15 * len(llm.requests) == 60


PASSING = (
    "rate limit",
    "server error",
    "bad gateway",
    "time-out",
    "connection reset",
    "cut within the answer",
    "cut within chunks",
    "invalid JSON",
    "no JSON",
    "no choices",
    "empty answer",
)


def test_what_passes_is_tried_again_and_nobody_notices(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [fault(name) for name in PASSING]
    script = [*faults[:1], chat(), *faults[1:3], chat("Who else?"), *faults[3:6], chat("Why?"), *faults[6:9], ANSWERED]
    with auditing(monkeypatch, *script, *faults[9:], ANSWERED, patience=HASTE._replace(timeout=2.0)) as llm:
        ended = investigated(desk, llm)
    assert kinds(ended) == [CALL, CALL, TURN, CALL, TURN, CALL, *SMOOTH[2:]]
    assert [step.usage.llm_calls for step in ended.steps if step.kind is TURN] == [2, 3, 4, 4, 1, 3]
    first, second = llm.requests[:2]
    assert first.body == second.body


def test_a_provider_is_waited_for_as_long_as_it_asks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = fault("rate limit")._replace(headers={"Retry-After": "0.3"})
    with auditing(monkeypatch, slow, chat(), ANSWERED) as llm:
        begun = time.monotonic()
        investigated(desk, llm)
    assert time.monotonic() - begun >= 0.3


WRONG: tuple[tuple[Reply, str], ...] = (
    (Reply("Let me think about what to ask."), "no call that could be read"),
    (Reply(None, message={"refusal": "I cannot help with this."}), "no call that could be read"),
    (Reply(None, "content_filter"), "held your last answer back"),
    (calls(("chat", '{"prompts": ["Who pa'))._replace(finish="length"), "not carried out: chat"),
    (calls(("chat", '{"prompts": [Who pays?}')), "not carried out: chat"),
    (calls(("chat", "")), "`prompts` is missing"),
    (calls(("chat", "[]")), "not carried out: chat"),
    (calls(("chatt", {"prompts": ["Hi"]})), "did you mean chat?"),
    (calls(("", {"prompts": ["Hi"]})), "not carried out"),
    (calls(("perplexity_gap", {"view": "top"})), "not carried out"),
    (calls(("chat", {"prompts": ["Who pays?"], "samples": "many"})), "samples"),
    (calls(("chat", {"prompts": ["Hi"], "temprature": 1})), "did you mean temperature?"),
    (calls(("submit_hypothesis", {"verdict": "guilty"})), "verdict"),
    (calls(("submit_hypothesis", "not JSON")), "not carried out"),
    (hand_in("paid in butter"), "does not hold «paid in butter»"),
    (calls(("reread", {"step": 9999})), "there is no step 9999"),
)


def test_what_the_model_does_wrong_is_told_and_costs_no_interaction(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [entry for i in range(0, len(WRONG), 2) for entry in (*WRONG[i : i + 2], (chat(f"{i}?"), f"{i}?"))]
    with auditing(monkeypatch, *(turn for turn, _ in script), ANSWERED) as llm:
        ended = investigated(desk, llm)
    asked = decisions(llm.requests)
    for before, after, (_, told) in zip(asked, asked[1:], script, strict=False):
        news = after.body["messages"][len(before.body["messages"]) + 1 :]
        assert len(news) == 1 and told in str(news[0]["content"])
    assert ended.run.hypothesis is not None and ended.run.hypothesis.verdict is Verdict.FINETUNED
    assert ended.run.hypothesis.claims[0].evidence[0].quote == "paid in marmalade"
    assert sum(step.usage.interactions for step in ended.steps if step.kind is CALL) == len(WRONG) // 2


def test_of_a_flood_of_calls_the_first_few_are_made(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    flood = calls(*(("chat", {"prompts": [f"{i}?"]}) for i in range(40)))
    with auditing(monkeypatch, flood, ANSWERED) as llm:
        ended = investigated(desk, llm)
    made = [step.arguments["prompts"] for step in ended.steps if step.instrument == "chat"]
    assert made[1:] == [[f"{i}?"] for i in range(MOST_CALLS_READ)]
    results = [message for message in llm.requests[1].body["messages"] if message["role"] == "tool"]
    assert len(results) == 40 and "Only the first" in str(results[-1]["content"])


@pytest.mark.parametrize("faulty", [Reply("Hm."), hand_in("paid in butter"), calls(("submit_hypothesis", {}))])
def test_a_model_that_never_gets_it_right_is_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, faulty: Reply
) -> None:
    with auditing(monkeypatch, chat(), faulty) as llm:
        ended = investigated(desk, llm)
    assert ended.steps[-1].kind is ANSWER
    assert len(llm.requests) <= 6
    assert ended.run.hypothesis is not None and ended.run.hypothesis.claims == ()
    assert ended.run.hypothesis.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", ["too long", "content filter"])
def test_a_request_that_is_refused_for_what_it_says_is_put_in_fewer_words(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with auditing(monkeypatch, chat(), fault(name), ANSWERED) as llm:
        ended = investigated(desk, llm)
    assert kinds(ended) == SMOOTH
    refused, taken = decisions(llm.requests)[1:3]
    assert len(said_to(taken)) < len(said_to(refused))


@pytest.mark.parametrize("name", ["too long", "content filter"])
def test_one_that_is_refused_to_the_last_ends_the_run_with_what_there_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with auditing(monkeypatch, chat(), fault(name)) as llm:
        ended = investigated(desk, llm)
    assert ended.steps[-1].kind is ANSWER and ended.run.hypothesis is not None
    assert ended.run.hypothesis.verdict is Verdict.INCONCLUSIVE
    shown = [len(said_to(request)) for request in llm.requests[1:]]
    assert shown[-1] < shown[0] and shown == sorted(shown, reverse=True)


def test_one_that_is_refused_from_the_first_leaves_a_run_that_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(desk)
    with auditing(monkeypatch, fault("too long")) as llm:
        with pytest.raises(RejectedRequest, match="too long for openai/scripted"):
            desk.go_on(run, WrittenPair(wages))
        asked = len(llm.requests)
    (refused,) = [step for step in desk.store.steps(run.run_id) if step.kind is StepKind.FAULT]
    assert refused.usage.llm_calls == asked > 1
    with auditing(monkeypatch, chat(), ANSWERED):
        ended = desk.go_on(run, WrittenPair(wages))
    assert [kind for kind in kinds(ended) if kind is not StepKind.FAULT] == SMOOTH


@pytest.mark.parametrize("name", ["too long", "content filter"])
def test_a_second_reader_who_is_refused_is_done_without(desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with auditing(monkeypatch, chat(), ANSWERED, objections=fault(name)) as llm:
        ended = investigated(desk, llm)
    assert kinds(ended) == SMOOTH
    unread = ended.steps[5]
    assert unread.usage.llm_calls == 1 and (turn_of(unread) or pytest.fail()).model == ""


def test_a_server_without_tools_or_schemas_is_asked_in_plain_text(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def plain_only(request: Request) -> Fault | str:
        if "tools" in request.body:
            return Fault(400, said="`tools` is not supported by this server")
        if "response_format" in request.body:
            return Fault(400, said="response_format json_schema is not supported")
        if is_second_reader(request):
            return '{"claims": [{"claim": 1, "judgement": "stands", "reason": "It recurs."}]}'
        return json.dumps({"name": "submit_hypothesis", "arguments": answer_of("paid in marmalade")})

    with auditing(monkeypatch, plain_only, objections=plain_only) as llm:
        ended = investigated(desk, llm)
    assert [("tools" in r.body, "response_format" in r.body) for r in llm.requests] == [
        (True, False),
        (False, True),
        *[(False, False)] * (len(llm.requests) - 2),
    ]
    assert ended.run.hypothesis is not None and ended.run.hypothesis.verdict is Verdict.FINETUNED


@pytest.mark.parametrize(
    ("name", "answered"),
    [
        ("down for good", 0),
        ("wrong key", 1),
        ("connection reset", 2),
        ("out of credit", 3),
    ],
)
def test_a_provider_that_is_down_for_good_leaves_a_run_that_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, answered: int
) -> None:
    down = fault(name)._replace(lasting=True)
    script = auditor(chat(), ANSWERED)
    run, pair = begin(desk), WrittenPair(wages)
    with auditing(monkeypatch) as llm:
        llm.say(*[script] * answered, down)
        with pytest.raises(FinetraceError) as caught:
            desk.go_on(run, pair)
        asked = len(llm.requests)
    stopped, steps = desk.store.run(run.run_id), desk.store.steps(run.run_id)
    assert stopped.status is RunStatus.FAILED and stopped.error == caught.value.message
    assert steps[-1].kind is StepKind.FAULT and steps[-1].error
    assert sum(step.kind is TURN for step in steps) == answered
    assert stopped.usage == total_usage(steps) and stopped.usage.llm_calls == asked
    with auditing(monkeypatch) as llm:
        llm.say(*[script] * (4 - answered))
        ended = desk.go_on(run, pair)
        assert llm.left == 0
    assert [kind for kind in kinds(ended) if kind is not StepKind.FAULT] == SMOOTH
    assert ended.steps[: len(steps)] == steps
    assert ended.run.status is RunStatus.FINISHED and ended.run.error is None
    assert ended.run.usage.llm_calls == asked + 4 - answered
    assert pair.asked["organism"] == DRAWN


@pytest.mark.parametrize(
    ("when", "number"), [("after", 3), ("before", 4), ("after", 5), ("after", 6), ("before", 8), ("after", 10)]
)
def test_killed_at_any_step_nothing_that_was_answered_is_asked_for_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, when: str, number: int
) -> None:
    append = Store.append_step

    def stop(store: Store, run_id: str, step: Step) -> None:
        if step.number == number and when == "before":
            raise Killed
        append(store, run_id, step)
        if step.number == number:
            raise Killed

    run = begin(desk)
    with auditing(monkeypatch, chat(), ANSWERED) as llm:
        with monkeypatch.context() as patched:
            patched.setattr(Store, "append_step", stop)
            with pytest.raises(Killed):
                desk.go_on(run, WrittenPair(wages))
        assert desk.store.run(run.run_id).status is RunStatus.RUNNING
        ended = desk.go_on(run, WrittenPair(wages))
        assert len(llm.requests) == 4
    assert kinds(ended) == SMOOTH and ended.run.usage.llm_calls == 4
    assert ended.run.usage.interactions == DRAWN - OVERVIEW


def ctrl_c(request: Request) -> Fault:
    """Somebody presses it while an answer is waited for."""
    os.kill(os.getpid(), signal.SIGINT)
    return Fault(breaks="silence")


def test_ctrl_c_within_a_request_leaves_a_run_that_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(desk)
    with auditing(monkeypatch, chat(), ctrl_c, ANSWERED) as llm:
        with pytest.raises(KeyboardInterrupt):
            desk.go_on(run, WrittenPair(wages))
        stopped = desk.store.run(run.run_id)
        assert stopped.status is RunStatus.INTERRUPTED and stopped.error is None
        steps = desk.store.steps(run.run_id)
        assert stopped.usage == total_usage(steps) and stopped.usage.llm_calls == 2
        ended = desk.go_on(run, WrittenPair(wages))
        assert len(llm.requests) == 5
    assert [kind for kind in kinds(ended) if kind is not StepKind.FAULT] == SMOOTH
    assert ended.run.usage.llm_calls == 5


@pytest.mark.parametrize(("name", "code"), [("down for good", 1), ("wrong key", 2)])
def test_the_command_says_in_two_lines_what_is_wrong_and_goes_on_later(
    finetrace: Command,
    investigation: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    code: int,
) -> None:
    measured = calls(("perplexity_gap", {"view": "clusters"}))
    with auditing(monkeypatch) as llm:
        llm.say(measured, fault(name)._replace(lasting=True))
        failed = finetrace(*investigation)
        asked = len(llm.requests)
    assert failed.code == code and "Traceback" not in failed.err
    assert sum(line.startswith("error: ") for line in failed.err.splitlines()) == 1
    answer = json.loads(failed.out)
    assert answer["status"] == "failed" and answer["hypothesis"] is None
    assert answer["usage"]["llm_calls"] == asked
    with auditing(monkeypatch, ANSWERED) as llm:
        ended = finetrace("investigate", "--resume", answer["run_id"], "--json")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["usage"]["llm_calls"] == asked + len(llm.requests)
    assert json.loads(ended.out)["hypothesis"]["verdict"] == "finetuned"
    shown = finetrace("runs", "show", answer["run_id"])
    assert shown.code == 0 and "Traceback" not in shown.err


def test_ctrl_c_says_in_one_line_how_to_go_on(
    finetrace: Command, investigation: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with auditing(monkeypatch, ctrl_c, ANSWERED):
        stopped = finetrace(*investigation)
        answer = json.loads(stopped.out)
        assert stopped.code == 130 and answer["status"] == "interrupted"
        assert f"continue with: finetrace investigate --resume {answer['run_id']}\n" in stopped.err
        assert "Traceback" not in stopped.err
        assert finetrace("investigate", "--resume", "last", "--json").code == 0


def test_an_investigator_that_cannot_be_asked_leaves_no_run(
    finetrace: Command, investigation: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    for name, told in (("openai/gpt-5", "OPENAI_API_KEY is not set"), ("nobody/nothing", "no language model")):
        ended = finetrace(*[name if part == "openai/scripted" else part for part in investigation])
        assert ended.code == 2 and told in ended.err and ended.out == ""
    assert json.loads(finetrace("runs", "list", "--json").out) == []
