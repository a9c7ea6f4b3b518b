"""What goes wrong with a provider, each fault by its name: tried again, or told in words; never with a key."""

from __future__ import annotations

import logging
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hasty_models import HASTE, QUESTION, model
from scripted_llm import FAULTS, KEY, Fault, Request, ScriptedLLM, calls, fault, running_llm

from finetrace.errors import FinetraceError, WorkError
from finetrace.llm import LanguageModel, Patience, RejectedRequest, Tool

LOOK = Tool("look", "Look.", {"type": "object", "properties": {}})
PASSING = (
    "rate limit",
    "server error",
    "bad gateway",
    "time-out",
    "connection reset",
    "cut within the answer",
    "invalid JSON",
    "no JSON",
    "no choices",
    "cut within chunks",
    "empty answer",
)
ANSWERS = ("refusal", "filtered answer")
"""Faults that are handed back as what the model answered."""
RAISED: dict[str, type[FinetraceError]] = {
    "out of credit": FinetraceError,
    "wrong key": FinetraceError,
    "forbidden": FinetraceError,
    "unknown model": FinetraceError,
    "bad request": FinetraceError,
    "no tools": FinetraceError,  # where none were asked for
    "too long": RejectedRequest,
    "content filter": RejectedRequest,
    "down for good": WorkError,
}


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    with running_llm(monkeypatch) as server:
        yield server


def refusal(of: LanguageModel) -> FinetraceError:
    with pytest.raises(FinetraceError) as caught:
        of.ask("Hello?")
    assert caught.value.hint and "\n" not in caught.value.message + caught.value.hint
    return caught.value


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_is_tried_again(llm: ScriptedLLM, name: str) -> None:
    llm.say(fault(name), "at last")
    answer = model().complete(QUESTION, 5)
    assert (answer.text, answer.tries) == ("at last", 2)
    assert llm.requests[0].body == llm.requests[1].body


@pytest.mark.parametrize("name", RAISED)
def test_a_lasting_fault_is_not(llm: ScriptedLLM, name: str) -> None:
    llm.say(fault(name), *["too late"] * 4)
    asked = model()
    assert type(refusal(asked)) is RAISED[name]
    assert len(llm.requests) == asked.usage.llm_calls == (4 if name == "down for good" else 1)


def test_every_fault_is_tried() -> None:
    assert {*PASSING, *ANSWERS, *RAISED} == {*FAULTS}


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_that_stays_ends_in_words_or_in_an_empty_answer(llm: ScriptedLLM, name: str) -> None:
    llm.say(fault(name)._replace(lasting=True))
    asked = model(patience=HASTE._replace(tries=2, timeout=0.1))
    if name in ("no choices", "empty answer"):
        answer = asked.complete(QUESTION, 5)
        assert (answer.text, answer.uses, answer.tries) == ("", (), 2)
    else:
        error = refusal(asked)
        assert type(error) is WorkError and "Traceback" not in error.message
    assert len(llm.requests) == asked.usage.llm_calls == 2


def test_a_refusal_is_an_answer(llm: ScriptedLLM) -> None:
    llm.say(fault("refusal"), fault("filtered answer"))
    refused, filtered = (model().complete(QUESTION, 5) for _ in range(2))
    assert (refused.text, refused.refusal, refused.tries) == ("", "I cannot help with that.", 1)
    assert (filtered.text, filtered.finish, filtered.tries) == ("", "content_filter", 1)


def test_faults_in_a_row_end_with_the_fourth(llm: ScriptedLLM) -> None:
    llm.say(fault("rate limit"), fault("connection reset"), fault("server error"), "at last")
    asked = model()
    assert asked.complete(QUESTION, 5).tries == 4
    llm.say(*[fault("server error")] * 4, "too late")
    error = refusal(asked)
    assert isinstance(error, WorkError)
    assert "openai/scripted gave no answer in 4 tries: out of order" in error.message
    assert "OPENAI_API_BASE" in error.hint
    assert llm.left == 1 and asked.usage.llm_calls == 8


def test_waits_grow_unless_the_provider_says_how_long(llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    asks = fault("rate limit")._replace(headers={"Retry-After": "7"})
    llm.say(fault("server error"), fault("server error"), asks, "at last")
    model(patience=Patience()).ask("?")
    assert 0.75 <= waits[0] <= 1.25 and 1.5 <= waits[1] <= 2.5 and waits[2] == 7
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    llm.say(asks._replace(headers={"Retry-After": soon}), "at last")
    model(patience=Patience()).ask("?")
    assert 20 < waits[3] <= 30
    llm.say(asks._replace(headers={"Retry-After": "whenever"}), "at last")
    model(patience=Patience()).ask("?")
    assert waits[4] < 2


def test_a_provider_that_asks_for_an_hour_is_given_up(llm: ScriptedLLM) -> None:
    llm.say(fault("rate limit")._replace(headers={"Retry-After": "3600"}), "too late")
    error = refusal(model())
    assert isinstance(error, WorkError) and "asks to wait 3600 seconds: slow down" in error.message
    assert llm.left == 1


def test_how_long_a_silence_is_borne_is_the_users_to_say(llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETRACE_LLM_TIMEOUT", "0.05")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    llm.say(*[fault("time-out")] * 4)
    begun = time.monotonic()
    error = refusal(LanguageModel("openai/scripted"))
    assert "no answer in time" in error.message and "FINETRACE_LLM_TIMEOUT" in error.hint
    assert time.monotonic() - begun < 5


def test_a_server_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_llm(monkeypatch) as server:
        asked = model()
        address = server.address
    monkeypatch.setenv("OPENAI_API_BASE", address)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    error = refusal(asked)
    assert isinstance(error, WorkError) and "Connection error" in error.message


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("wrong key", "openai does not accept the key for openai/scripted", "check OPENAI_API_KEY"),
        ("forbidden", "openai does not accept the key for openai/scripted", "check OPENAI_API_KEY"),
        ("out of credit", "no credit left", "top it up"),
        ("unknown model", "openai has no model 'openai/scripted'", "/v1"),
        ("bad request", "openai refuses the request to openai/scripted: unsupported", "another model"),
    ],
)
def test_what_the_user_can_mend_says_how(llm: ScriptedLLM, name: str, message: str, hint: str) -> None:
    llm.say(fault(name))
    error = refusal(model())
    assert not isinstance(error, WorkError)
    assert message in error.message and hint in error.hint


@pytest.mark.parametrize(("name", "reason"), [("too long", "context"), ("content filter", "content")])
def test_a_request_that_is_rejected_says_why(llm: ScriptedLLM, name: str, reason: str) -> None:
    llm.say(fault(name))
    error = refusal(model())
    assert isinstance(error, RejectedRequest) and error.reason == reason


LONG = (
    Fault(400, said="the request exceeds the available context size. try increasing it"),
    Fault(400, said="This model's maximum context length is 8192 tokens. However, you requested 9000"),
    Fault(400, said="prompt is too long: 210000 tokens > 200000 maximum"),
    Fault(413, said="payload"),
)


@pytest.mark.parametrize("long", LONG)
def test_servers_have_many_words_for_a_request_that_is_too_long(llm: ScriptedLLM, long: Fault) -> None:
    llm.say(long)
    error = refusal(model())
    assert isinstance(error, RejectedRequest) and error.reason == "context"


FORMS = (
    fault("no tools"),
    Fault(400, said='"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
    Fault(400, said="'response_format' of type 'json_schema' is not supported with this model"),
    Fault(400, said="please adjust your prompt", code="tool_use_failed"),
    Fault(404, said="No endpoints found that support tool use"),
    Fault(500, said="tools param requires --jinja flag"),
    Fault(500, said='Failed to parse input at pos 12: {"name": '),
    Fault(501, said="not implemented"),
)


@pytest.mark.parametrize("form", FORMS)
def test_a_provider_that_knows_no_tools_says_so_only_where_some_were_asked_for(llm: ScriptedLLM, form: Fault) -> None:
    llm.say(form, form, *[form] * 4)
    for wish in ({"tools": [LOOK]}, {"schema": {"type": "object"}}):
        with pytest.raises(RejectedRequest, match="does not do tools or schemas") as caught:
            model().complete(QUESTION, 5, **wish)
        assert caught.value.reason == "form" and "plain text" in caught.value.hint
    assert len(llm.requests) == 2
    assert not isinstance(refusal(model()), RejectedRequest)


def test_a_server_that_is_merely_out_of_order_is_tried_again_with_tools_too(llm: ScriptedLLM) -> None:
    llm.say(Fault(500, said="a function crashed"), calls(("look", {})))
    assert model().complete(QUESTION, 5, tools=[LOOK]).uses[0].name == "look"


@pytest.mark.parametrize("during", ["request", "wait"])
def test_an_interrupt_comes_through_at_once_and_leaves_a_working_model(llm: ScriptedLLM, during: str) -> None:
    llm.say(fault("time-out") if during == "request" else fault("rate limit")._replace(headers={"Retry-After": "30"}))
    asked = model(patience=Patience(timeout=30))
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt) as caught:
        asked.ask("Hello?")
    assert time.monotonic() - begun < 3
    assert asked.usage.llm_calls == 1
    assert KEY not in "".join(traceback.format_exception(caught.value))
    llm.say("still here")
    assert asked.ask("Hello?") == "still here"


def echoed_key(request: Request) -> Fault:
    """A server that says back all that it was sent, as badly written proxies do."""
    return Fault(400, said=f"cannot serve {dict(request.headers)} {request.body}")


@pytest.mark.parametrize("name", [*FAULTS, "echo"])
def test_the_key_is_in_no_error_no_log_and_no_output(
    llm: ScriptedLLM, name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, logger="LiteLLM")
    llm.say(*[echoed_key if name == "echo" else fault(name)] * 2)
    asked = model(patience=HASTE._replace(tries=2))
    try:
        told = repr(asked.complete(QUESTION, 5))
    except FinetraceError as error:
        told = "".join(traceback.format_exception(error)) + error.message + error.hint
        assert error.__cause__ is None and error.__context__ is None
    printed = capfd.readouterr()
    assert printed == ("", "")
    assert KEY not in told + caplog.text + repr(vars(asked)) + str(vars(asked))
    assert llm.requests[0].headers["authorization"] == f"Bearer {KEY}"
