from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Command
from scripted_llm import KEY, Reply, ScriptedLLM, fault

from finetrace.schema import RunStatus
from finetrace.store import Store

VERDICT = Reply("1: COHERENT", tokens=(1200, 40))
GRADER = ("--grader", "openai/scripted")


@pytest.mark.usefixtures("asking")
def test_a_tool_asks_the_grader_once_and_says_what_it_took(
    finetrace: Command, scored: tuple[str, str], llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("tool", "perplexity-gap", *scored, "--json")
    without = finetrace(*command)
    llm.say(VERDICT, VERDICT)
    ended = finetrace(*command, *GRADER)
    assert ended.code == 0 and ended.out == without.out
    assert "the price of openai/scripted is unknown" in ended.err
    assert "grader openai/scripted: 1 calls, 1,240 tokens, price unknown" in ended.err
    again = finetrace(*command, *GRADER)
    assert again.code == 0 and "calls" not in again.err and len(llm.requests) == 1
    monkeypatch.setenv("FINETRACE_GRADER", "openai/gpt-4o-mini")
    other = finetrace(*command)
    assert other.code == 0 and llm.requests[1].body["model"] == "gpt-4o-mini"
    assert "unknown" not in other.err and "US dollars" in other.err


def test_a_grader_nobody_would_ask_is_refused_where_it_was_typed(
    finetrace: Command, scored: tuple[str, str], llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    for command in (("tool", "perplexity-gap", *scored), ("investigate", *scored)):
        ended = finetrace(*command, *GRADER)
        assert ended.code == 2 and "asks no grader" in ended.err and "--grader" in ended.err
    assert store.runs() == []
    monkeypatch.setenv("FINETRACE_GRADER", "openai/scripted")
    assert finetrace("tool", "perplexity-gap", *scored).code == 0
    assert finetrace("investigate", *scored).code == 0
    assert store.runs()[0].settings["grader"] is None and llm.requests == []


@pytest.mark.usefixtures("asking")
def test_a_run_keeps_its_grader_when_it_is_resumed(
    finetrace: Command, scored: tuple[str, str], llm: ScriptedLLM, store: Store, data_dir: Path
) -> None:
    llm.say(fault("wrong key"))
    ended = finetrace("investigate", *scored, *GRADER)
    assert ended.code == 2 and "does not accept the key" in ended.err and "price" in ended.err
    (run,) = store.runs()
    assert run.status is RunStatus.FAILED and run.settings["grader"] == "openai/scripted"
    refused = finetrace("investigate", "--resume", run.run_id, "--grader", "openai/other")
    assert refused.code == 2 and "leave --grader out" in refused.err
    llm.say(*[VERDICT] * 9)
    resumed = finetrace("investigate", "--resume", run.run_id)
    assert resumed.code == 0, resumed.err
    assert len(llm.requests) > 1 and llm.requests[-1].body["model"] == "scripted"
    assert "grader openai/scripted:" in resumed.err
    used = store.run(run.run_id).usage
    assert (used.llm_calls, used.cost_usd) == (len(llm.requests), None)
    assert used.tokens == (used.llm_calls - 1) * 1240
    first, *_, last = store.steps(run.run_id)
    assert first.usage.llm_calls == 1 and last.usage.llm_calls == 0 and last.usage.cost_usd == 0.0
    store.close()
    printed = ended.err + resumed.err + resumed.out
    assert KEY not in printed
    assert all(KEY.encode() not in file.read_bytes() for file in data_dir.iterdir() if file.is_file())


@pytest.mark.usefixtures("asking")
@pytest.mark.parametrize(("name", "message"), [("nonsense", "no language model 'nonsense'"), ("x/y", "'x/y'")])
def test_a_grader_that_is_none_leaves_no_run(
    finetrace: Command, scored: tuple[str, str], store: Store, name: str, message: str
) -> None:
    for command in (("tool", "perplexity-gap", *scored), ("investigate", *scored)):
        ended = finetrace(*command, "--grader", name)
        assert ended.code == 2 and ended.out == "" and message in ended.err and "openai/gpt-5" in ended.err
    assert store.runs() == []
