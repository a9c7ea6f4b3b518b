from __future__ import annotations

import json

import pytest
from command_line import Command
from scripted_llm import Reply, ScriptedLLM

from finetrace.store import Store

GRADER = ("--grader", "openai/scripted")
FREE = '{"openai/scripted": {"input": 0, "output": 0}}'
VERDICT = Reply("1: COHERENT", tokens=(1200, 40))


@pytest.mark.parametrize(
    "typed", [("--max-cost", "2"), ("--max-calls", "9"), ("--max-tokens", "9"), ("--max-tokens=9", "--max-cost=2")]
)
def test_a_bound_that_nothing_could_reach_is_refused(
    finetrace: Command, scored: tuple[str, str], store: Store, typed: tuple[str, ...]
) -> None:
    ended = finetrace("investigate", *scored, *typed)
    wrong, hint = ended.err.strip().splitlines()
    names = sorted(word.partition("=")[0] for word in typed if word.startswith("--"))
    assert ended.code == 2 and ended.out == ""
    assert "could never matter" in wrong and all(name in wrong and name in hint for name in names)
    assert store.runs() == []


def test_a_bound_of_the_environment_is_for_runs_that_can_reach_it(
    finetrace: Command, scored: tuple[str, str], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETRACE_INVESTIGATE_MAX_COST", "2")
    monkeypatch.setenv("FINETRACE_INVESTIGATE_MAX_CALLS", "7")
    assert finetrace("investigate", *scored).code == 0
    budget = store.runs()[0].settings["budget"]
    assert budget["cost_usd"] is None and budget["llm_calls"] is None and budget["interactions"] == 50


@pytest.mark.parametrize("option", ["--max-cost", "--max-seconds"])
@pytest.mark.parametrize("number", ["nan", "inf", "-1"])
def test_a_bound_that_is_none_is_refused(
    finetrace: Command, scored: tuple[str, str], store: Store, option: str, number: str
) -> None:
    ended = finetrace("investigate", *scored, option, number)
    assert ended.code == 2 and option in ended.err and "Traceback" not in ended.err
    assert store.runs() == []


@pytest.mark.usefixtures("asking", "llm")
def test_dollars_are_no_bound_where_a_price_is_unknown(
    finetrace: Command, scored: tuple[str, str], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = finetrace("investigate", *scored, *GRADER, "--max-cost", "2")
    wrong, hint = ended.err.strip().splitlines()
    assert ended.code == 2 and "the price of openai/scripted is unknown" in wrong
    assert f"FINETRACE_LLM_PRICES='{FREE}'" in hint and "--max-cost" in hint
    assert store.runs() == []
    monkeypatch.setenv("FINETRACE_LLM_PRICES", "{}")
    monkeypatch.setenv("FINETRACE_INVESTIGATE_MAX_COST", "2")
    assert finetrace("investigate", *scored, *GRADER).code == 2


@pytest.mark.usefixtures("asking")
def test_with_a_grader_every_bound_holds(
    finetrace: Command, scored: tuple[str, str], store: Store, llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETRACE_LLM_PRICES", FREE)
    llm.say(*[VERDICT] * 9)
    bounds = ("--max-cost", "0.5", "--max-calls", "1", "--max-tokens", "90000")
    ended = finetrace("investigate", *scored, *GRADER, *bounds, "--json")
    assert ended.code == 0, ended.err
    assert "unknown" not in ended.err
    used = json.loads(ended.out)["usage"]
    assert used["llm_calls"] == 1 and used["cost_usd"] == 0
    budget = store.runs()[0].settings["budget"]
    assert (budget["cost_usd"], budget["llm_calls"], budget["tokens"]) == (0.5, 1, 90000)
    monkeypatch.delenv("FINETRACE_LLM_PRICES")
    unpriced = finetrace("investigate", *scored, *GRADER)
    assert unpriced.code == 0 and unpriced.err.count("the price of openai/scripted is unknown") == 1
