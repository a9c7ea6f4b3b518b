"""Language models behind an API, against a real server on this machine. The first test pays for litellm's import."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from scripted_llm import FAULTS, KEY, Fault, Reply, Request, ScriptedLLM, fault, running_llm

from finetrace.errors import FinetraceError, WorkError
from finetrace.llm import Answer, LanguageModel, Message, Patience, RejectedRequest
from finetrace.schema import Usage

HASTE = Patience(timeout=0.4, first_wait=0.001)
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
)


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    with running_llm(monkeypatch) as server:
        yield server


def model(name: str = "openai/scripted", patience: Patience = HASTE) -> LanguageModel:
    return LanguageModel(name, patience)


def refusal(of: LanguageModel) -> FinetraceError:
    with pytest.raises(FinetraceError) as caught:
        of.ask("Hello?")
    assert caught.value.hint and "\n" not in caught.value.message + caught.value.hint
    return caught.value


def test_an_answer_comes_with_what_it_took(llm: ScriptedLLM) -> None:
    llm.say(Reply("Good morning.", tokens=(21, 4)))
    asked = model()
    dialogue = [Message("system", "Be brief."), Message("user", "Hello?")]
    answer = asked.complete(dialogue, max_tokens=30)
    assert answer._replace(seconds=0.0) == Answer("Good morning.", "stop", 21, 4, None, 0.0, 1)
    assert 0 < answer.seconds < 30
    (request,) = llm.requests
    assert request.path == "/v1/chat/completions" and request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["model"] == "scripted"
    assert (request.body["max_tokens"], request.body["temperature"]) == (30, 0)
    assert request.body["messages"] == [{"role": role, "content": text} for role, text, *_ in dialogue]
    assert asked.usage.model_copy(update={"seconds": 0.0}) == Usage(llm_calls=1, tokens=25, cost_usd=None)


def test_a_question_is_one_message(llm: ScriptedLLM) -> None:
    llm.say(lambda request: request.prompt.upper())
    assert model().ask("Hello?") == "HELLO?"


def test_a_known_price_is_counted_and_an_unknown_one_is_none(llm: ScriptedLLM) -> None:
    llm.say(Reply("a", tokens=(1_000_000, 0)), Reply("b", tokens=(0, 1_000_000)), "c")
    known, unknown = model("openai/gpt-4o-mini"), model()
    read, written = (known.complete([Message("user", "?")], 5).cost_usd for _ in range(2))
    assert read is not None and written is not None and 0 < read < written < 10
    assert known.price_known and known.usage.cost_usd == pytest.approx(read + written)
    assert not unknown.price_known and unknown.complete([Message("user", "?")], 5).cost_usd is None


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_is_tried_again(llm: ScriptedLLM, name: str) -> None:
    llm.say(fault(name), "at last")
    answer = model().complete([Message("user", "Hello?")], 5)
    assert (answer.text, answer.tries) == ("at last", 2)
    assert llm.requests[0].body == llm.requests[1].body


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in PASSING])
def test_a_lasting_fault_is_not(llm: ScriptedLLM, name: str) -> None:
    llm.say(fault(name), *["too late"] * 4)
    refusal(model())
    assert len(llm.requests) == (4 if name == "down for good" else 1)


def test_faults_in_a_row_end_with_the_fourth(llm: ScriptedLLM) -> None:
    llm.say(fault("rate limit"), fault("connection reset"), fault("server error"), "at last")
    asked = model()
    assert asked.complete([Message("user", "?")], 5).tries == 4
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


def test_a_server_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_llm(monkeypatch) as server:
        asked = model()
        address = server.address
    monkeypatch.setenv("OPENAI_API_BASE", address)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    error = refusal(asked)
    assert isinstance(error, WorkError) and "Connection error" in error.message


def test_a_slip_in_reading_an_answer_is_told_as_such_and_what_it_took_is_counted(
    llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slip(*_: object) -> None:
        raise KeyError("content")

    monkeypatch.setattr("finetrace.llm.model.read_reply", slip)
    llm.say(Reply("Good morning.", tokens=(21, 4)), "never asked for")
    asked = model()
    with pytest.raises(KeyError, match="content"):
        asked.ask("Hello?")
    assert asked.usage.model_copy(update={"seconds": 0.0}) == Usage(llm_calls=1, tokens=25, cost_usd=None)
    assert llm.left == 1


def test_an_empty_answer_is_asked_for_again_and_paid_for(llm: ScriptedLLM) -> None:
    llm.say("", Reply(None), "at last")
    answer = model().complete([Message("user", "?")], 5)
    assert (answer.text, answer.tries, answer.tokens_in, answer.tokens_out) == ("at last", 3, 30, 15)
    llm.say(*[""] * 4)
    assert model().ask("?") == "" and llm.left == 0
    for finish in ("length", "content_filter"):
        llm.say(Reply(None, finish))
        assert model().complete([Message("user", "?")], 5)[:2] == ("", finish)
    llm.say(Reply("uncounted", tokens=None))
    assert model().complete([Message("user", "?")], 5).tokens_in == 0


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


@pytest.mark.parametrize("name", ["nonsense", "foo/bar", "openai/", "", "/x", "gpt-99", "two\nlines"])
def test_a_name_that_is_none_is_refused_at_once(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FinetraceError, match="no language model") as caught:
        LanguageModel(name)
    assert "openai/gpt-5" in caught.value.hint and "OPENAI_API_BASE" in caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_a_missing_key_is_named_before_anything_is_asked(llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    with pytest.raises(FinetraceError, match="ANTHROPIC_API_KEY is not set"):
        LanguageModel("anthropic/claude-sonnet-4-5")
    monkeypatch.delenv("OPENAI_API_KEY")
    llm.say("a server of one's own needs none")
    assert model().ask("?") and KEY not in llm.requests[0].headers["authorization"]
    monkeypatch.delenv("OPENAI_API_BASE")
    with pytest.raises(FinetraceError, match="OPENAI_API_KEY is not set"):
        LanguageModel("openai/gpt-5")


def test_a_model_without_temperature_is_asked_without(llm: ScriptedLLM) -> None:
    llm.say("fine")
    assert model("openai/gpt-5-mini").ask("?") == "fine"
    assert "temperature" not in llm.requests[0].body


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
        told = repr(asked.complete([Message("user", "Hello?")], 5))
    except FinetraceError as error:
        told = "".join(traceback.format_exception(error)) + error.message + error.hint
        assert error.__cause__ is None and error.__context__ is None
    printed = capfd.readouterr()
    assert printed == ("", "")
    assert KEY not in told + caplog.text + repr(vars(asked)) + str(vars(asked))
    assert llm.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_import_reads_no_env_file_and_asks_no_server(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-a-file-nearby\n")
    script = (
        "import os, socket, sys\n"
        "def refuse(*a, **k): raise SystemExit('network')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "import finetrace.llm\n"
        "assert 'litellm' not in sys.modules\n"
        "from finetrace.llm.client import litellm\n"
        "assert len(litellm().model_cost) > 100\n"
        "print(os.environ.get('OPENAI_API_KEY'))\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "LITELLM"))}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")
