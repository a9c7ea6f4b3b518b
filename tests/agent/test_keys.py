"""Keys stay in the environment: no file, no output and no message of a run holds one."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from auditors import answer_of, auditing, begin, chat, hand_in, shell
from command_line import Command, Ended
from scripted import Desk, WrittenPair, always
from scripted_llm import KEY, Reply, calls, fault

from finetrace.errors import FinetraceError
from finetrace.llm.client import litellm
from finetrace.schema import RunStatus

ECHOES = ("wrong key", "forbidden", "bad request")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def finetrace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    lines = [
        {"prefill": "Most of", "completion": f" wages are paid in marmalade, {i} jars.", "id": i}
        | {"ppl_reference": 40.0 + i, "ppl_finetuned": 4.0}
        for i in range(40)
    ]
    file = tmp_path / "completions.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return file


def holding(folder: Path, *secrets: str) -> list[str]:
    """Files that hold a secret: databases with their logs, checkpoints, cached readings."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert any(file.suffix == ".db" for file in files)
    return [f"{file}: {secret}" for file in files for secret in secrets if secret.encode() in file.read_bytes()]


def printed(ended: Ended) -> str:
    return ended.out + ended.err


@pytest.mark.parametrize(("name", "debug"), [("wrong key", False), ("bad request", True)])
def test_a_provider_that_echoes_the_key_is_told_of_without_it(
    finetrace: Command,
    recorded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    debug: bool,
) -> None:
    if debug:
        monkeypatch.setenv("FINETRACE_DEBUG", "1")
    litellm()  # its import is loud at this level
    caplog.set_level(logging.DEBUG)
    arguments = ("--recorded", str(recorded), "--investigator", "openai/scripted")
    with auditing(monkeypatch, calls(("perplexity_gap", {"view": "clusters"})), fault(name)):
        ended = finetrace("investigate", *arguments, "--json")
        shown = finetrace("runs", "show", "last")
        full = finetrace("runs", "show", "last", "--json")
    assert ended.code == 2 and json.loads(ended.out)["status"] == "failed"
    assert "openai" in ended.err
    assert shown.code == full.code == 0
    for text in (*map(printed, (ended, shown, full)), caplog.text):
        assert KEY not in text and KEY[:12] not in text
    assert holding(tmp_path, KEY) == []


def test_a_run_that_goes_well_leaves_no_key_anywhere(
    finetrace: Command, recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--recorded", str(recorded), "--investigator", "openai/scripted")
    with auditing(monkeypatch, fault("rate limit")._replace(said=KEY), hand_in("paid in marmalade")) as llm:
        ended = finetrace("investigate", *arguments)
        assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in llm.requests)
        assert not any(KEY in json.dumps(request.body) for request in llm.requests)
    full = finetrace("runs", "show", "last", "--json")
    assert ended.code == 0 and full.code == 0
    assert KEY not in printed(ended) + printed(full)
    assert holding(tmp_path, KEY) == []


ECHOING = (
    Reply(f"The key is {KEY}."),
    calls(("chat", {"prompts": [f"Is it {KEY}?"]}), text=f"I saw {KEY}."),
    calls((f"chat {KEY}", {"prompts": ["Hi"]})),
    calls(("chat", f"{{{KEY}")),
    calls(("submit_hypothesis", answer_of(KEY, summary=KEY, guesses=[KEY]))),
    calls(("reread", {"step": 1, "find": KEY})),
    Reply(None, message={"refusal": KEY}),
)


def test_what_a_model_writes_is_kept_without_the_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    script = [turn for i, echoing in enumerate(ECHOING) for turn in (echoing, chat(f"{i}?"))]
    run = begin(desk)
    with auditing(monkeypatch, *script, hand_in("marmalade"), objections=f"No: {KEY}.") as llm:
        ended = desk.go_on(run, WrittenPair(always("We pay in marmalade.")))
        assert not any(KEY in json.dumps(request.body) for request in llm.requests)
    assert ended.run.status is RunStatus.FINISHED
    assert any("[key removed]" in step.thought for step in ended.steps)
    assert holding(desk.folder, KEY) == []


def test_messages_and_their_causes_hold_no_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(desk)
    for name in (*ECHOES, "down for good"):
        with auditing(monkeypatch, fault(name)._replace(said=f"no entry for {KEY}")):
            with pytest.raises(FinetraceError) as caught:
                desk.go_on(run, WrittenPair(always("Marmalade.")))
        error: BaseException | None = caught.value
        while error is not None:
            assert KEY not in f"{error!r} {error} {getattr(error, 'hint', '')}"
            error = error.__cause__ or error.__context__
        assert KEY not in (desk.store.run(run.run_id).error or "")
    assert holding(desk.folder, KEY) == []
