"""Tools and schemas: how they are asked for, and how calls are read, however oddly they are written."""

from __future__ import annotations

import gzip
import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hasty_models import HASTE, QUESTION, model
from scripted_llm import Fault, Reply, ScriptedLLM, calls, running_llm

from finetrace.llm import LanguageModel, Message, Tool, ToolUse
from finetrace.llm.client import litellm
from finetrace.llm.mending import mended
from finetrace.llm.request import Request

SCHEMA = {"type": "object", "properties": {"depth": {"type": "integer"}}}
LOOK = Tool("look", "Look at a depth.", SCHEMA)
WAIT = Tool("wait", "Wait.", {"type": "object", "properties": {}})


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    with running_llm(monkeypatch) as server:
        yield server


def test_calls_come_back_in_order_and_are_no_empty_answer(llm: ScriptedLLM) -> None:
    llm.say(calls(("look", {"depth": 3}), ("wait", "{}"), text="First a look."))
    answer = model().complete(QUESTION, 5, tools=[LOOK, WAIT])
    assert [(use.name, use.arguments) for use in answer.uses] == [("look", '{"depth": 3}'), ("wait", "{}")]
    assert (answer.text, answer.finish, answer.tries) == ("First a look.", "tool_calls", 1)
    assert len({use.id for use in answer.uses}) == 2
    llm.say(calls(("wait", "{}")))
    assert model().complete(QUESTION, 5, tools=[WAIT]).tries == 1


def test_tools_a_forced_tool_a_schema_and_a_seed_are_sent_where_they_are_asked_for(llm: ScriptedLLM) -> None:
    llm.say("plain", calls(("look", {})), "{}")
    asked = model()
    asked.complete(QUESTION, 5)
    asked.complete(QUESTION, 5, tools=[LOOK, WAIT], must_use="look", seed=7)
    asked.complete(QUESTION, 5, schema=SCHEMA)
    plain, tooled, shaped = (request.body for request in llm.requests)
    assert not {"tools", "tool_choice", "response_format", "seed"} & {*plain}
    function = {"name": "look", "description": "Look at a depth.", "parameters": SCHEMA}
    assert llm.requests[1].tools == ("look", "wait") and tooled["tools"][0] == {
        "type": "function",
        "function": function,
    }
    assert tooled["tool_choice"] == {"type": "function", "function": {"name": "look"}} and tooled["seed"] == 7
    wanted = {"name": "decision", "strict": False, "schema": SCHEMA}
    assert shaped["response_format"] == {"type": "json_schema", "json_schema": wanted} and "tools" not in shaped
    with pytest.raises(ValueError, match="none of the tools"):
        asked.complete(QUESTION, 5, tools=[LOOK], must_use="listen")


DIALOGUE = [
    Message("system", "Be brief."),
    Message("user", "Go."),
    Message("assistant", "", (ToolUse("one", "look", '{"depth": 3}'), ToolUse("two", "look up!", '{"depth": '))),
    Message("tool", "Nothing.", use_id="one"),
    Message("tool", "No such tool.", use_id="two"),
    Message("assistant", "Once more.", (ToolUse("three", "wait", ""),)),
    Message("tool", "Waited.", use_id="three"),
]


def test_calls_go_out_again_in_a_form_that_no_provider_refuses(llm: ScriptedLLM) -> None:
    llm.say("done")
    model().complete(DIALOGUE, 5, tools=[LOOK, WAIT])
    _, _, first, answer, _, second, _ = llm.requests[0].body["messages"]
    assert not first.get("content") and second["content"] == "Once more."
    assert first["tool_calls"] == [
        {"id": "one", "type": "function", "function": {"name": "look", "arguments": '{"depth": 3}'}},
        {
            "id": "two",
            "type": "function",
            "function": {"name": "look_up_", "arguments": json.dumps({"unreadable": '{"depth": '})},
        },
    ]
    assert answer == {"role": "tool", "tool_call_id": "one", "content": "Nothing."}
    assert second["tool_calls"][0]["function"]["arguments"] == "{}"


def test_another_providers_form_of_the_same_dialogue_is_whole() -> None:
    litellm()
    from litellm.llms.anthropic.chat.transformation import AnthropicConfig

    said = Request(DIALOGUE, 5, tools=[LOOK], must_use="look").parameters()
    options = AnthropicConfig().map_openai_params(
        {name: said[name] for name in ("tools", "tool_choice")}, {}, "claude-sonnet-4-5", drop_params=True
    )
    sent = AnthropicConfig().transform_request("claude-sonnet-4-5", said["messages"], options, {}, {})
    assert [part["text"] for part in sent["system"]] == ["Be brief."]
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    _, first, results, second, _ = (message["content"] for message in sent["messages"])
    assert [(part["type"], part["id"], part["input"]) for part in first] == [
        ("tool_use", "one", {"depth": 3}),
        ("tool_use", "two", {"unreadable": '{"depth": '}),
    ]
    assert [(part["tool_use_id"], part["content"]) for part in results] == [
        ("one", "Nothing."),
        ("two", "No such tool."),
    ]
    assert [part["type"] for part in second] == ["text", "tool_use"]
    assert sent["tools"][0]["input_schema"] == SCHEMA and sent["tool_choice"]["name"] == "look"


def test_an_id_that_is_missing_or_taken_is_made_up(llm: ScriptedLLM) -> None:
    call = {"type": "function", "function": {"name": "wait", "arguments": "{}"}}
    given = [{**call, "id": "one"}, {**call, "id": "mine"}, {**call, "id": "mine"}, call, {**call, "id": ""}]
    llm.say(Reply(None, message={"tool_calls": given}))
    ids = [use.id for use in model().complete(DIALOGUE, 5, tools=[WAIT]).uses]
    assert ids[1] == "mine" and len(set(ids)) == 5 and not {"", "one"} & {*ids}
    assert all(len(made) == 9 and made.isalnum() for made in (ids[0], *ids[2:]))


FINE = {"name": "look", "arguments": "{}"}
ODD: dict[str, tuple[Mapping[str, Any], tuple[str, str, str]]] = {
    # name: the message, and what is read of it: text, name and arguments of the call
    "an object as arguments": (
        {"tool_calls": [{"function": {**FINE, "arguments": {"a": "ü"}}}]},
        ("", "look", '{"a": "ü"}'),
    ),
    "a list as arguments": ({"tool_calls": [{"function": {**FINE, "arguments": [1]}}]}, ("", "look", "[1]")),
    "no arguments": ({"tool_calls": [{"function": {"name": "look"}}]}, ("", "look", "")),
    "null arguments": ({"tool_calls": [{"function": {**FINE, "arguments": None}}]}, ("", "look", "")),
    "broken arguments": ({"tool_calls": [{"function": {**FINE, "arguments": '{"a'}}]}, ("", "look", '{"a')),
    "no name": ({"tool_calls": [{"function": {"arguments": "{}"}}]}, ("", "", "{}")),
    "a number as name": ({"tool_calls": [{"function": {"name": 3, "arguments": "{}"}}]}, ("", "", "{}")),
    "no function": ({"content": "x", "tool_calls": [{"id": "one", "type": "function"}]}, ("x", "", "")),
    "a null function": ({"content": "x", "tool_calls": [{"id": "one", "function": None}]}, ("x", "", "")),
    "a bare call": ({"tool_calls": [{**FINE}]}, ("", "look", "{}")),
    "one call in no list": ({"tool_calls": {"function": FINE}}, ("", "look", "{}")),
    "a name as call": ({"tool_calls": ["look"]}, ("", "look", "")),
    "a number as id": ({"tool_calls": [{"id": 3, "function": FINE}]}, ("", "look", "{}")),
    "a custom call": (
        {"tool_calls": [{"type": "custom", "custom": {"name": "look", "input": "x"}}]},
        ("", "look", "x"),
    ),
    "the old form": ({"function_call": FINE}, ("", "look", "{}")),
    "no type": ({"tool_calls": [{"id": "one", "function": FINE}]}, ("", "look", "{}")),
}


@pytest.mark.parametrize("name", ODD)
def test_an_oddly_written_call_is_read_all_the_same(llm: ScriptedLLM, name: str) -> None:
    message, wanted = ODD[name]
    llm.say(Reply(None, "tool_calls", message=message))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = model().complete(QUESTION, 5, tools=[LOOK])
    (use,) = answer.uses
    assert (answer.text, use.name, use.arguments) == wanted and use.id
    assert (answer.tries, answer.tokens_in) == (1, 10)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "Good "}, {"type": "text", "text": "morning."}], "Good morning."),
        ([None, "Good", {"type": "image"}, {"type": "text", "text": None}], "Good"),
        ({"verdict": "ü"}, '{"verdict": "ü"}'),
        (3, "3"),
        ("half of a character: \ud83d", "half of a character: \ufffd"),
        ("a whole one: \U0001f600", "a whole one: \U0001f600"),
        ("a\x00b", "a\x00b"),
        ([{"type": "refusal", "refusal": "No."}], ""),
    ],
)
def test_an_oddly_written_text_is_read_all_the_same(llm: ScriptedLLM, content: Any, text: str) -> None:
    llm.say(Reply(None, message={"content": content}))
    answer = model().complete(QUESTION, 5)
    assert (answer.text, answer.tries) == (text, 1)
    assert answer.refusal == ("" if text else "No.")


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"text": "fine"}]},
        {"choices": [None, {"message": {"content": "fine"}}]},
        {"choices": [{"message": {"content": "fine"}, "finish_reason": 3}], "usage": {"prompt_tokens": "many"}},
        {"choices": [{"message": {"content": "fine"}}], "usage": {"prompt_tokens": -1, "completion_tokens": 0}},
        {"choices": [{"message": {"content": "fine"}}], "usage": []},
    ],
)
def test_an_odd_answer_around_it_does_no_harm(llm: ScriptedLLM, body: object) -> None:
    llm.say(Fault(200, json.dumps(body).encode()))
    answer = model().complete(QUESTION, 5)
    assert (answer.text, answer.finish, answer.tokens_in, answer.tries) == ("fine", "stop", 0, 1)


def test_a_compressed_answer_is_read(llm: ScriptedLLM) -> None:
    body = gzip.compress(json.dumps({"choices": [{"message": {"content": "fine"}}]}).encode())
    llm.say(Fault(200, body, headers={"Content-Encoding": "gzip"}))
    assert model().complete(QUESTION, 5)[:2] == ("fine", "stop")


@pytest.mark.parametrize(
    "body", ["", "[]", "3", "null", "{}", '{"error": {"message": "down", "code": 502}}', "[" * 9999]
)
def test_what_is_no_answer_is_left_as_it_is_and_tried_again(llm: ScriptedLLM, body: str) -> None:
    assert mended(body.encode()) == body.encode()
    llm.say(Fault(200, body.encode()), "at last")
    assert model(patience=HASTE._replace(tries=2)).ask("?") == "at last"


def test_a_text_no_request_can_hold_is_sent_without_what_is_wrong(llm: ScriptedLLM) -> None:
    llm.say("fine")
    asked: LanguageModel = model()
    dialogue = [
        Message("assistant", "\udc00", (ToolUse("one", "look", '"\udc00"'),)),
        Message("tool", "\udc00", use_id="one"),
    ]
    assert asked.complete(dialogue, 5, tools=[LOOK]).tries == 1
    assert [message["content"] for message in llm.requests[0].body["messages"]] == ["\ufffd", "\ufffd"]
