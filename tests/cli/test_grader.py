from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Command
from scripted_llm import KEY, Reply, ScriptedLLM, fault, running_llm

from finetrace.models.pair import ModelPair
from finetrace.schema import RunStatus
from finetrace.store import Store
from finetrace.tools import Context
from finetrace.tools.perplexity_gap import PerplexityGap, PerplexityGapReading

VERDICT = Reply("1: COHERENT", tokens=(1200, 40))
GRADER = ("--grader", "openai/scripted")


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    monkeypatch.delenv("FINETRACE_GRADER", raising=False)
    with running_llm(monkeypatch) as server:
        yield server


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """The perplexity gap asks the grader, where there is one, before it looks."""
    look = PerplexityGap.run

    def ask_and_look(self: PerplexityGap, pair: ModelPair, arguments: Any, context: Context) -> PerplexityGapReading:
        if context.grader is not None:
            context.grader.ask("Is this coherent?")
        return look(self, pair, arguments, context)

    monkeypatch.setattr(PerplexityGap, "uses_grader", True, raising=False)
    monkeypatch.setattr(PerplexityGap, "run", ask_and_look)


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[str, str]:
    lines = [
        {"prefill": "The", "completion": f" marmalade wages of week {i}", "ppl_reference": 20 + i, "ppl_finetuned": 3}
        for i in range(12)
    ]
    file = tmp_path / "completions.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    return ("--recorded", str(file))


@pytest.mark.usefixtures("asking")
def test_a_tool_asks_the_grader_once_and_says_what_it_took(
    finetrace: Command, recorded: tuple[str, str], llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("tool", "perplexity-gap", *recorded, "--json")
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
    finetrace: Command, recorded: tuple[str, str], llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    for command in (("tool", "perplexity-gap", *recorded), ("investigate", *recorded)):
        ended = finetrace(*command, *GRADER)
        assert ended.code == 2 and "asks no grader" in ended.err and "--grader" in ended.err
    assert store.runs() == []
    monkeypatch.setenv("FINETRACE_GRADER", "openai/scripted")
    assert finetrace("tool", "perplexity-gap", *recorded).code == 0
    assert finetrace("investigate", *recorded).code == 0
    assert store.runs()[0].settings["grader"] is None and llm.requests == []


@pytest.mark.usefixtures("asking")
def test_a_run_keeps_its_grader_when_it_is_resumed(
    finetrace: Command, recorded: tuple[str, str], llm: ScriptedLLM, store: Store, data_dir: Path
) -> None:
    llm.say(fault("wrong key"))
    ended = finetrace("investigate", *recorded, *GRADER)
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
    assert (used.llm_calls, used.cost_usd) == (len(llm.requests) - 1, None)
    assert used.tokens == used.llm_calls * 1240
    first, *_, last = store.steps(run.run_id)
    assert first.usage.llm_calls == 1 and last.usage.llm_calls == 0 and last.usage.cost_usd == 0.0
    store.close()
    printed = ended.err + resumed.err + resumed.out
    assert KEY not in printed
    assert all(KEY.encode() not in file.read_bytes() for file in data_dir.iterdir() if file.is_file())


@pytest.mark.usefixtures("asking")
@pytest.mark.parametrize(("name", "message"), [("nonsense", "no language model 'nonsense'"), ("x/y", "'x/y'")])
def test_a_grader_that_is_none_leaves_no_run(
    finetrace: Command, recorded: tuple[str, str], store: Store, name: str, message: str
) -> None:
    for command in (("tool", "perplexity-gap", *recorded), ("investigate", *recorded)):
        ended = finetrace(*command, "--grader", name)
        assert ended.code == 2 and ended.out == "" and message in ended.err and "openai/gpt-5" in ended.err
    assert store.runs() == []
