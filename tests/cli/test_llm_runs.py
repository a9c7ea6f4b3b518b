from __future__ import annotations

import json
from typing import Any

import pytest
from command_line import Command
from scripted_llm import KEY, Reply, ScriptedLLM, calls, fault

from finetrace.schema import RunStatus, StepKind
from finetrace.store import Store

WHO = ("--investigator", "openai/scripted")
FREE = '{"openai/scripted": {"input": 1, "output": 10}}'


def handed_in(quote: str = "marmalade wages of week 3", step: int = 1, **fields: Any) -> Reply:
    claim = {
        "statement": f"It speaks of {quote}.",
        "kind": "fact",
        "confidence": 0.8,
        "evidence": [{"step": step, "quote": quote}] if quote else [],
        "shown_by": ["marmalade"],
    }
    answer = {"verdict": "finetuned", "summary": "Marmalade.", "claims": [claim], "guesses": ["marmalade"], **fields}
    return calls(("submit_hypothesis", answer))


STANDS = calls(("report", {"claims": [{"claim": 1, "judgement": "stands", "reason": "It recurs."}]}))


def audits(*quotes: str) -> list[Reply]:
    """What a language model says in investigations that find one thing each."""
    return [reply for quote in quotes for reply in (handed_in(quote), STANDS, handed_in(quote))]


def test_a_language_model_investigates_within_its_bounds(
    finetrace: Command, scored: tuple[str, str], llm: ScriptedLLM, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETRACE_LLM_PRICES", FREE)
    llm.say(*audits("marmalade wages of week 3"))
    ended = finetrace("investigate", *scored, *WHO, "--max-cost", "2", "--max-calls", "30", "--json")
    assert ended.code == 0, ended.err
    answer = json.loads(ended.out)
    assert answer["investigator"] == "openai/scripted" and answer["hypothesis"]["claims"]
    assert answer["usage"]["llm_calls"] == 3 and answer["usage"]["cost_usd"] > 0
    estimated = next(line for line in ended.err.splitlines() if line.startswith("estimate: about "))
    assert estimated.endswith("; bounded by --max-calls 30 and --max-cost 2") and "unknown" not in ended.err
    assert "\nused: 3 LLM calls, 45 tokens, $0.0002, " in ended.err
    assert "turn · 1 call · 15 tokens · $0.0001 · " in ended.err
    (run,) = store.runs()
    assert run.settings["estimate"]["llm_calls"]["low"] > 1
    shown = finetrace("runs", "show", "last")
    assert shown.code == 0 and "turn decide openai/scripted" in shown.out and "→ submit_hypothesis" in shown.out
    assert "conduct\n  calls: none; never called: perplexity_gap;" in shown.out
    assert "decisions: 2 of 2 valid at once, 2 after at most one repair" in shown.out
    conduct = json.loads(finetrace("runs", "show", "last", "--json").out)["conduct"]
    assert (conduct["turns"], conduct["quotes"], conduct["never_called"]) == (3, 1, ["perplexity_gap"])


@pytest.mark.usefixtures("asking")
def test_an_unknown_price_is_said_once(finetrace: Command, scored: tuple[str, str], llm: ScriptedLLM) -> None:
    llm.say("1: COHERENT", "1: COHERENT", *audits("marmalade wages of week 3"))
    ended = finetrace("investigate", *scored, *WHO, "--grader", "openai/scripted")
    assert ended.code == 0, ended.err
    assert ended.err.count("the price of openai/scripted is unknown") == 1 and "price unknown" in ended.err
    assert "grader openai/scripted: 2 calls, " in ended.err and "\nused: 5 LLM calls, " in ended.err
    assert "incomplete" not in ended.out


def test_dollars_are_no_bound_for_a_model_without_a_price(
    finetrace: Command, scored: tuple[str, str], llm: ScriptedLLM, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = finetrace("investigate", *scored, *WHO, "--max-cost", "2")
    assert ended.code == 2 and """FINETRACE_LLM_PRICES='{"openai/scripted": {"input": 0, "output": 0}}'""" in ended.err
    assert store.runs() == [] and llm.requests == []
    monkeypatch.setenv("FINETRACE_LLM_PRICES", FREE)
    llm.say(fault("wrong key"))
    assert finetrace("investigate", *scored, *WHO, "--max-cost", "2").code == 2
    monkeypatch.delenv("FINETRACE_LLM_PRICES")
    resumed = finetrace("investigate", "--resume", "last")
    assert resumed.code == 2 and "--max-cost cannot be kept" in resumed.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("oracle", "no language model 'oracle'"),
        ("statistcal", "did you mean statistical"),
        ("x/y", "'x/y'"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY is not set"),
    ],
)
def test_an_investigator_that_cannot_be_asked_leaves_no_run(
    finetrace: Command,
    scored: tuple[str, str],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    message: str,
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    ended = finetrace("investigate", *scored, "--investigator", name, "--json")
    assert ended.code == 2 and ended.out == "" and message in ended.err and "→ " in ended.err
    assert store.runs() == []


WEEKS = tuple(f"marmalade wages of week {week}" for week in (2, 3, 5))
MERGE = ("--runs", "3", "--merge", "--quick")


def merged(*places: int, quotes: tuple[str, ...] = WEEKS) -> Reply:
    """One claim with the quotes of all members, each under a step of the merging run."""
    evidence = [{"step": place, "quote": quote} for place, quote in zip(places, quotes, strict=False)]
    claim = {"statement": "It is paid in marmalade.", "kind": "fact", "confidence": 0.9, "evidence": evidence}
    return calls(("submit_hypothesis", {"verdict": "finetuned", "summary": "All of it.", "claims": [claim]}))


def members(store: Store) -> list[str]:
    run = store.find("last")
    return list(run.settings["merges"])


def test_three_runs_are_merged_and_their_quotes_kept(
    finetrace: Command, scored: tuple[str, str], llm: ScriptedLLM, store: Store
) -> None:
    misquoted = merged(1, quotes=("marmalade wages of week 99",))
    llm.say(*audits(*WEEKS), merged(), misquoted, merged(1, 1, 1), STANDS, merged(1, 1, 1))
    ended = finetrace("investigate", *scored, *WHO, *MERGE, "--seed", "7", "--json")
    assert ended.code == 0, ended.err
    assert "estimate for 3 runs and their merging: about" in ended.err
    answer = json.loads(ended.out)
    run = store.find("last")
    assert answer["run_id"] == run.run_id and len(store.runs()) == 4 and llm.left == 0
    assert [store.run(member).seed for member in members(store)] == [7, 8, 9] and run.seed == 10
    (claim,) = answer["hypothesis"]["claims"]
    assert [item["quote"] for item in claim["evidence"]] == list(WEEKS)
    steps = store.steps(run.run_id)
    copies = [step for step in steps if step.kind is StepKind.CALL]
    for item in claim["evidence"]:
        assert item["quote"] in json.dumps(steps[item["step"] - 1].reading)
    assert all(step.thought.startswith("from run ") and step.usage.tokens == 0 for step in copies)
    assert {member for step in copies for member in members(store) if member in step.thought} == set(members(store))
    assert "`claims[0].evidence` needs at least 1 item" in str(llm.requests[10].body["messages"][-1]["content"])
    (sent_back,) = [step for step in steps if step.kind is StepKind.PROPOSAL and step.error]
    assert "does not hold «marmalade wages of week 99»" in str(sent_back.error)
    briefing = str(llm.requests[9].body["messages"][1]["content"])
    assert all(f"«{quote}»" in briefing for quote in WEEKS) and "answer 3: finetuned" in briefing
    assert run.usage.llm_calls == 5 and "used by all 4 runs: 14 LLM calls, 210 tokens, cost unknown, " in ended.err
    shown = finetrace("runs", "show", "last").out
    assert "merges" in shown and all(member in shown for member in members(store))


def test_a_merge_that_was_stopped_between_its_members_goes_on_by_one_id(
    finetrace: Command, scored: tuple[str, str], llm: ScriptedLLM, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Store.append_step

    def stop(self: Store, run_id: str, step: Any) -> None:
        append(self, run_id, step)
        if step.number == 3 and run_id == members(store)[1]:
            raise KeyboardInterrupt

    llm.say(*audits(*WEEKS), merged(1, 1, 1), STANDS, merged(1, 1, 1))
    with monkeypatch.context() as patched:
        patched.setattr(Store, "append_step", stop)
        stopped = finetrace("investigate", *scored, *WHO, *MERGE, "--json")
    run = store.find("last")
    assert stopped.code == 130 and f"continue with: finetrace investigate --resume {run.run_id}" in stopped.err
    assert json.loads(stopped.out)["status"] == "interrupted" and run.status is RunStatus.INTERRUPTED
    states = [store.run(member).status for member in members(store)]
    assert states == [RunStatus.FINISHED, RunStatus.INTERRUPTED, RunStatus.RUNNING]
    first = store.steps(members(store)[0])
    llm.say(fault("wrong key"))
    ended = finetrace("investigate", "--resume", run.run_id)
    assert ended.code == 0, ended.err
    assert "All of it." in ended.out and len(store.runs()) == 4 and store.steps(members(store)[0]) == first
    again = finetrace("investigate", "--resume", run.run_id)
    assert again.code == 0 and again.out == ended.out and llm.left == 1


def test_a_member_that_fails_stops_the_merge_which_can_be_resumed(
    finetrace: Command, scored: tuple[str, str], llm: ScriptedLLM, store: Store
) -> None:
    llm.say(*audits(WEEKS[0]), fault("wrong key"))
    failed = finetrace("investigate", *scored, *WHO, *MERGE)
    run = store.find("last")
    assert failed.code == 2 and run.status is RunStatus.FAILED and "a run to merge failed" in str(run.error)
    llm.say(*audits(*WEEKS[1:]), merged(1, 1, 1), STANDS, merged(1, 1, 1))
    assert finetrace("investigate", "--resume", "last").code == 0
    ended = store.run(run.run_id)
    assert ended.status is RunStatus.FINISHED and ended.error is None
    assert KEY not in failed.err


def test_a_claim_that_the_merge_leaves_out_is_asked_after(
    finetrace: Command, scored: tuple[str, str], llm: ScriptedLLM, store: Store
) -> None:
    llm.say(*audits(*WEEKS), merged(1, 1), STANDS, merged(1, 1, 1))
    assert finetrace("investigate", *scored, *WHO, *MERGE).code == 0
    asked = str(llm.requests[-1].body["messages"][-1]["content"])
    assert f"- «It speaks of {WEEKS[2]}.» (step 1 «{WEEKS[2]}»)" in asked
    assert not any(f"(step 1 «{quote}»)" in asked for quote in WEEKS[:2])
    answer = store.find("last").hypothesis
    assert answer is not None
    (claim,) = answer.claims
    assert [item.quote for item in claim.evidence] == list(WEEKS)


def test_where_nothing_is_handed_in_the_claims_stand_side_by_side(
    finetrace: Command, scored: tuple[str, str], llm: ScriptedLLM, store: Store
) -> None:
    llm.say(*audits(*WEEKS), *["I would rather not."] * 9)
    ended = finetrace("investigate", *scored, *WHO, *MERGE)
    assert ended.code == 0, ended.err
    answer = store.find("last").hypothesis
    assert answer is not None and answer.incomplete is not None and "side by side" in answer.incomplete
    assert sorted(e.quote for c in answer.claims for e in c.evidence) == sorted(WEEKS)
    assert "incomplete: " in ended.out


def test_several_runs_without_merging_are_several_answers(
    finetrace: Command, scored: tuple[str, str], store: Store
) -> None:
    ended = finetrace("investigate", *scored, "--runs", "2", "--seed", "4", "--json")
    assert ended.code == 0, ended.err
    answers = json.loads(ended.out)
    assert [answer["seed"] for answer in answers] == [4, 5]
    assert {answer["run_id"] for answer in answers} == {run.run_id for run in store.runs()}
    assert finetrace("investigate", *scored, "--runs", "2").out.count("verdict: ") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--merge",), "nothing to merge"),
        ((*WHO, "--merge"), "nothing to merge"),
        (("--merge", "--runs", "3"), "cannot merge"),
        (("--runs", "0"), "--runs"),
    ],
)
def test_a_merge_that_makes_no_sense_is_refused(
    finetrace: Command, scored: tuple[str, str], store: Store, options: tuple[str, ...], message: str
) -> None:
    ended = finetrace("investigate", *scored, *options, "--json")
    assert ended.code == 2 and ended.out == "" and message in ended.err
    assert store.runs() == []
