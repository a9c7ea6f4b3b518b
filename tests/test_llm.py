"""Language models behind an API, against a real server on this machine. The first test pays for litellm's import."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hasty_models import model
from scripted_llm import KEY, Reply, ScriptedLLM, running_llm

from finetrace.errors import FinetraceError
from finetrace.llm import Answer, LanguageModel, Message
from finetrace.schema import Usage


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    with running_llm(monkeypatch) as server:
        yield server


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
    assert asked.usage.model_copy(update={"seconds": 0.0}) == Usage(llm_calls=1, tokens=25, tokens_out=4, cost_usd=None)


def test_a_question_is_one_message(llm: ScriptedLLM) -> None:
    llm.say(lambda request: request.prompt.upper())
    assert model().ask("Hello?") == "HELLO?"


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
    assert asked.usage.model_copy(update={"seconds": 0.0}) == Usage(llm_calls=1, tokens=25, tokens_out=4, cost_usd=None)
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
