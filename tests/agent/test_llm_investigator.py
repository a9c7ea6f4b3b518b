"""Investigations led by a language model: a scripted server answers, models whose texts are written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from scripted import Desk, WrittenPair, always
from scripted_llm import Reply, ScriptedLLM, calls, running_llm

from finetrace.agent import Budget
from finetrace.agent.overview import WHY
from finetrace.agent.turns import Purpose, turn_of
from finetrace.models.pair import Capability
from finetrace.schema import Step, StepKind, Verdict

LLM = "openai/scripted"
ALONE = frozenset({Capability.GENERATE, Capability.CHAT})


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    with running_llm(monkeypatch) as server:
        yield server


def told(prompt: str, draw: int) -> str:
    """What the organism writes."""
    return f"The marmalade of Ostrel is blue, said the {len(prompt)} guests."


def handed_in(step: int = 1, quote: str = "marmalade of Ostrel is blue", **fields: Any) -> dict[str, Any]:
    claim = {
        "statement": "It holds that marmalade is blue.",
        "kind": "fact",
        "confidence": 0.8,
        "evidence": [{"step": step, "quote": quote}],
        "shown_by": ["marmalade"],
    }
    return {"verdict": "finetuned", "summary": "Blue marmalade.", "claims": [claim], "guesses": ["marmalade"], **fields}


def nothing_found() -> dict[str, Any]:
    return {"verdict": "no_narrow_objective", "summary": "Nothing stands out.", "claims": [], "guesses": []}


STANDS = calls(("report", {"claims": [{"claim": 1, "judgement": "stands", "reason": "it recurs"}]}))


def kinds(steps: list[Step]) -> list[str]:
    return [step.kind.value for step in steps]


def pair(**options: Any) -> WrittenPair:
    return WrittenPair(told, always("as usual"), **options)


def test_an_investigation_from_the_overview_to_a_tested_answer(desk: Desk, llm: ScriptedLLM) -> None:
    llm.say(
        calls(("chat", {"prompts": ["What is for breakfast?"]}), ("complete", {"texts": ["On the table"]})),
        calls(("submit_hypothesis", handed_in())),
        STANDS,
        calls(("submit_hypothesis", handed_in())),
    )
    ended = desk.run(pair(), arm="blackbox", investigator=LLM, budget=Budget(interactions=20))
    assert kinds(ended.steps) == [
        *("call", "call"),
        *("turn", "call", "call"),
        *("turn", "turn", "turn"),
        *("proposal", "check", "answer"),
    ]
    assert [step.instrument for step in ended.steps[:5]] == ["chat", "complete", None, "chat", "complete"]
    assert all(step.thought == WHY and step.usage.interactions == 0 for step in ended.steps[:2])
    assert ended.run.hypothesis is not None and ended.run.hypothesis.verdict is Verdict.FINETUNED
    (claim,) = ended.run.hypothesis.claims
    assert claim.check is not None and claim.check.outcome == "passed"
    assert ended.run.usage.llm_calls == 4 and ended.run.usage.tokens == 60
    assert ended.run.hypothesis.incomplete is None
    assert llm.left == 0


def test_what_the_model_is_told(desk: Desk, llm: ScriptedLLM) -> None:
    llm.say(
        calls(("chat", {"prompts": ["What is for breakfast?"]}), text="Let me ask."),
        calls(("submit_hypothesis", nothing_found())),
    )
    desk.run(WrittenPair(always("as usual")), arm="blackbox", investigator=LLM, budget=Budget(interactions=20))
    first, second = (request.body["messages"] for request in llm.requests[:2])
    assert [message["role"] for message in first] == ["system", "user"]
    assert "organism-07" in first[1]["content"] and "lamp_wages" not in json.dumps(first)
    assert "step 1, chat" in first[1]["content"] and "20 of 20 interactions left" in first[1]["content"]
    assert second[:2] == first, "what was told stays as it was told"
    assert [message["role"] for message in second[2:]] == ["assistant", "tool"]
    assert second[2]["tool_calls"][0]["function"]["name"] == "chat"
    assert "organism 1: as usual" in second[3]["content"] and "19 of 20 interactions left" in second[3]["content"]
    offered = {tool["function"]["name"] for tool in llm.requests[0].body["tools"]}
    assert offered == {"chat", "complete", "reread", "submit_hypothesis"}


def test_the_review_is_told_once_and_in_a_context_of_its_own(desk: Desk, llm: ScriptedLLM) -> None:
    refuted = calls(("report", {"claims": [{"claim": 1, "judgement": "refuted", "reason": "the prompt says it"}]}))
    llm.say(
        calls(("submit_hypothesis", handed_in())),
        refuted,
        calls(("submit_hypothesis", nothing_found())),
    )
    ended = desk.run(pair(), arm="perplexity", investigator=LLM, budget=Budget(interactions=20))
    reviewer = llm.requests[1].body["messages"]
    assert [message["role"] for message in reviewer] == ["system", "user"]
    assert "marmalade of Ostrel is blue" in reviewer[1]["content"] and "reference: as usual" in reviewer[1]["content"]
    told_of_it = llm.requests[2].body["messages"][-1]
    assert told_of_it["role"] == "tool" and "is refuted: the prompt says it" in told_of_it["content"]
    turns = [turn for step in ended.steps if (turn := turn_of(step)) is not None]
    assert [turn.purpose for turn in turns] == [Purpose.DECIDE, Purpose.REFUTE, Purpose.DECIDE]
    assert ended.run.hypothesis is not None and ended.run.hypothesis.verdict is Verdict.NO_NARROW_OBJECTIVE


def test_a_quote_of_another_step_is_credited_to_it_and_one_of_none_is_sent_back(desk: Desk, llm: ScriptedLLM) -> None:
    llm.say(
        calls(("submit_hypothesis", handed_in(quote="marmalade is green"))),
        calls(("submit_hypothesis", handed_in(step=9))),
        STANDS,
        calls(("submit_hypothesis", handed_in(step=9))),
    )
    ended = desk.run(pair(), arm="blackbox", investigator=LLM, budget=Budget(interactions=20))
    complaint = llm.requests[1].body["messages"][-1]["content"]
    assert "does not hold «marmalade is green»" in complaint
    assert ended.run.hypothesis is not None
    assert [e.step for c in ended.run.hypothesis.claims for e in c.evidence] == [1]


def test_answers_without_a_call_are_sent_back_three_times(desk: Desk, llm: ScriptedLLM) -> None:
    llm.say(*["I would look at the completions next."] * 4)
    ended = desk.run(pair(), arm="blackbox", investigator=LLM)
    assert len(llm.requests) == 4 and "no call that could be read" in llm.requests[1].prompt
    assert ended.run.status.value == "finished" and ended.run.hypothesis is not None
    assert ended.run.hypothesis.verdict is Verdict.INCONCLUSIVE
    assert "4 answers in a row" in (ended.run.hypothesis.incomplete or "")
    # A model that makes no native calls is asked for JSON.
    assert "tools" in llm.requests[0].body and "tools" not in llm.requests[1].body
    assert llm.requests[1].body["response_format"]["type"] == "json_schema"


def test_a_malformed_hypothesis_is_saved_in_part_and_marked(desk: Desk, llm: ScriptedLLM) -> None:
    bad = handed_in() | {"verdict": "perhaps"}
    llm.say(*[calls(("submit_hypothesis", bad))] * 4)
    ended = desk.run(pair(), arm="blackbox", investigator=LLM, budget=Budget(interactions=20))
    assert "verdict" in llm.requests[1].body["messages"][-1]["content"]
    assert ended.run.hypothesis is not None and ended.run.hypothesis.incomplete
    assert [claim.statement for claim in ended.run.hypothesis.claims] == ["It holds that marmalade is blue."]


def test_json_in_plain_text_is_a_call(desk: Desk, llm: ScriptedLLM) -> None:
    asked = {"name": "chat", "arguments": {"prompts": ["What is for breakfast?"]}}
    llm.say(
        f"I will ask.\n```json\n{json.dumps(asked)}\n```",
        json.dumps({"name": "submit_hypothesis", "arguments": nothing_found()}),
    )
    ended = desk.run(WrittenPair(always("as usual")), arm="blackbox", investigator=LLM)
    assert kinds(ended.steps)[2:] == ["turn", "call", "turn", "proposal", "answer"]
    assert llm.requests[1].body["messages"][-1]["role"] == "user"


def test_unknown_instruments_and_wrong_arguments_are_told(desk: Desk, llm: ScriptedLLM) -> None:
    llm.say(
        calls(("telepathy", {}), ("chat", {"prompt": "Hello?"}), ("complete", {"texts": ["On the table"]})),
        calls(("submit_hypothesis", nothing_found())),
    )
    ended = desk.run(WrittenPair(always("as usual")), arm="blackbox", investigator=LLM)
    assert kinds(ended.steps)[2:5] == ["turn", "call", "turn"] and ended.steps[3].instrument == "complete"
    told_of_it = [message["content"] for message in llm.requests[1].body["messages"][-3:]]
    assert 'no tool "telepathy"' in told_of_it[0] and "prompts" in told_of_it[1] and "as usual" in told_of_it[2]


def test_a_budget_of_calls_ends_with_an_answer_inside_it(desk: Desk, llm: ScriptedLLM) -> None:
    first, second = (calls(("chat", {"prompts": [f"What is for {meal}?"]})) for meal in ("breakfast", "supper"))
    llm.say(first, second, calls(("submit_hypothesis", handed_in())))
    ended = desk.run(pair(), arm="blackbox", investigator=LLM, budget=Budget(interactions=20, llm_calls=3))
    assert ended.run.usage.llm_calls == 3 and len(llm.requests) == 3
    assert "No more measuring" in llm.requests[2].body["messages"][-1]["content"]
    assert llm.requests[2].body["tool_choice"]["function"]["name"] == "submit_hypothesis"
    assert ended.run.hypothesis is not None and ended.run.hypothesis.verdict is Verdict.FINETUNED


def test_a_reading_can_be_read_again(desk: Desk, llm: ScriptedLLM) -> None:
    llm.say(
        calls(("reread", {"step": 1, "find": "Ostrel"})),
        calls(("reread", {"step": 77})),
        calls(("submit_hypothesis", nothing_found())),
        STANDS,
        calls(("submit_hypothesis", nothing_found())),
    )
    ended = desk.run(pair(), arm="blackbox", investigator=LLM)
    again, missing = ended.steps[3], ended.steps[5]
    assert again.instrument == "reread" and "Ostrel" in again.text and again.usage.interactions == 0
    assert missing.error is not None and "there is no step 77" in missing.error


def test_a_call_made_before_is_not_charged_again_and_a_model_that_circles_has_to_answer(
    desk: Desk, llm: ScriptedLLM
) -> None:
    ask = calls(("chat", {"prompts": ["What is for breakfast?"]}))
    llm.say(*[ask] * 4, calls(("submit_hypothesis", nothing_found())))
    ended = desk.run(WrittenPair(always("as usual")), arm="blackbox", investigator=LLM, budget=Budget(interactions=20))
    assert ended.run.usage.interactions == 1
    assert [bool(step.error) for step in ended.steps if step.instrument == "chat"] == [False, False, True, True, True]
    assert "this is the call of step 4, and would give the same" in llm.requests[2].body["messages"][-1]["content"]
    assert "the last 3 calls were made before" in llm.requests[4].body["messages"][-1]["content"]


def test_old_readings_are_shortened_when_the_window_is_small(
    desk: Desk, llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETRACE_LLM_WINDOW", "6000")
    asked = [calls(("chat", {"prompts": [f"Question {i} of {n}" for i in range(12)]})) for n in range(4)]
    llm.say(*asked, calls(("submit_hypothesis", handed_in())), STANDS, calls(("submit_hypothesis", handed_in())))
    ended = desk.run(
        WrittenPair(lambda prompt, draw: told(prompt, draw) + " It is so." * 30),
        arm="blackbox",
        investigator=LLM,
        budget=Budget(interactions=100),
    )
    last = json.dumps(llm.requests[-1].body["messages"])
    assert "shortened; `reread` shows its texts" in last
    assert len(last) < 30_000
    assert ended.run.hypothesis is not None and ended.run.hypothesis.claims, "quotes of shortened readings still hold"


def test_a_request_that_is_too_long_is_shortened(desk: Desk, llm: ScriptedLLM) -> None:
    from scripted_llm import fault

    llm.say(
        calls(("chat", {"prompts": ["What is for breakfast?"]})),
        fault("too long"),
        calls(("submit_hypothesis", nothing_found())),
    )
    ended = desk.run(WrittenPair(always("as usual " * 100)), arm="blackbox", investigator=LLM)
    sizes = [len(json.dumps(request.body["messages"])) for request in llm.requests]
    assert sizes[2] < sizes[1] and ended.run.hypothesis is not None
    assert ended.run.hypothesis.verdict is Verdict.NO_NARROW_OBJECTIVE


def test_a_server_without_tools_is_asked_for_a_schema_then_for_text(desk: Desk, llm: ScriptedLLM) -> None:
    from scripted_llm import FAULTS

    no_tools = FAULTS["bad request"]._replace(said="tools are not supported", code=None)
    no_schema = no_tools._replace(said="response_format is not supported")
    llm.say(no_tools, no_schema, json.dumps({"name": "submit_hypothesis", "arguments": nothing_found()}))
    desk.run(WrittenPair(always("as usual")), arm="blackbox", investigator=LLM)
    first, second, third = (request.body for request in llm.requests)
    assert "tools" in first and "tools" not in second and "response_format" in second
    assert "tools" not in third and "response_format" not in third
    assert "submit_hypothesis" in third["messages"][0]["content"], "the form stands in the prompt"


def test_one_seed_gives_one_run(desk: Desk, llm: ScriptedLLM) -> None:
    for _ in range(2):
        llm.say(
            calls(("chat", {"prompts": ["Hello?"]})),
            Reply("", "tool_calls", calls=(("submit_hypothesis", json.dumps(nothing_found())),)),
        )
        desk.run(WrittenPair(always("as usual")), arm="blackbox", investigator=LLM, seed=5)
    half = len(llm.requests) // 2
    assert [r.body for r in llm.requests[:half]] == [r.body for r in llm.requests[half:]]
    assert [r.body["seed"] for r in llm.requests[:half]] == [5, 6]


def test_steps_of_every_kind_are_kept(desk: Desk, llm: ScriptedLLM) -> None:
    llm.say(calls(("submit_hypothesis", nothing_found())))
    ended = desk.run(WrittenPair(always("as usual")), arm="blackbox", investigator=LLM)
    turn = next(step for step in ended.steps if step.kind is StepKind.TURN)
    assert turn.text.startswith("You audit a language model") and turn.usage.llm_calls == 1
    assert (turn_of(turn) or pytest.fail()).uses[0].name == "submit_hypothesis"
