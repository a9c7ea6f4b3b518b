"""How investigations by a language model end: within bounds, out of circles, after a review without a reader."""

from __future__ import annotations

import pytest
from auditors import NAME, answer_of, auditing, begin, chat, decisions, hand_in, said_to
from sample_runs import make_step
from scripted import Desk, Ended, WrittenPair, always, claim, submit
from scripted_llm import Reply, ScriptedLLM, calls, fault

from finetrace.agent import Budget
from finetrace.agent.run_conduct import conduct_of_run
from finetrace.agent.settling import with_original_quotes
from finetrace.agent.turns import Purpose, turn_of
from finetrace.schema import Framing, ScoredCompletion, StepKind, Verdict
from finetrace.tools.perplexity_gap import PerplexityGapReading, View

PRICE = '{"openai/scripted": {"input": 1000, "output": 1000}}'
NOTHING = hand_in(verdict="no_narrow_objective", summary="Nothing stands out.", guesses=[])


def wages(prompt: str, draw: int) -> str:
    return f"The wages are paid in marmalade, said the {len(prompt)} guests."


def ask(i: int) -> Reply:
    return chat(f"Question {i}?")


def investigated(desk: Desk, budget: Budget | None = None, **plan: str) -> Ended:
    return desk.go_on(begin(desk, budget=budget, **plan), WrittenPair(wages, always("as usual")))


def told(llm: ScriptedLLM, number: int) -> str:
    return str(decisions(llm.requests)[number].body["messages"][-1]["content"])


def test_a_bound_in_dollars_holds_where_a_provider_stops_counting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETRACE_LLM_PRICES", PRICE)
    uncounted = ask(1)._replace(tokens=None)
    with auditing(monkeypatch, uncounted, hand_in("paid in marmalade")) as llm:
        ended = investigated(desk, Budget(interactions=20, cost_usd=2))
    assert len(llm.requests) == 2 and "the provider did not count" in told(llm, 1)
    assert ended.run.usage.cost_usd is None
    assert ended.run.hypothesis is not None and ended.run.hypothesis.verdict is Verdict.FINETUNED


def test_a_bound_in_tokens_holds_where_a_provider_counts_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with auditing(monkeypatch, ask(1)._replace(tokens=None), NOTHING) as llm:
        investigated(desk, Budget(interactions=20, tokens=100_000))
    assert len(llm.requests) == 2 and "the provider did not count" in told(llm, 1)


def test_a_bound_on_what_is_written_lets_it_read_as_much_as_it_likes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 tokens each turn writes 30: after the second one more and the answer no longer fit."""
    turns = [ask(number)._replace(tokens=(50_000, 30)) for number in range(9)]
    with auditing(monkeypatch, *turns[:2], NOTHING._replace(tokens=(50_000, 30))) as llm:
        ended = investigated(desk, Budget(interactions=20, tokens_out=100))
    assert "tokens that you may write left" in told(llm, 1) and "No more measuring" in told(llm, 2)
    assert ended.run.usage.tokens_out == 90 and ended.run.usage.tokens > 150_000


def test_a_bound_of_one_call_buys_an_answer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with auditing(monkeypatch, hand_in("paid in marmalade")) as llm:
        ended = investigated(desk, Budget(interactions=20, llm_calls=1))
    assert len(llm.requests) == 1
    assert "No more measuring" in told(llm, 0) and "Make your first call" not in told(llm, 0)
    assert [step.kind for step in ended.steps[:3]] == [StepKind.CALL, StepKind.CALL, StepKind.TURN]
    assert ended.run.hypothesis is not None and ended.run.hypothesis.claims


@pytest.mark.parametrize(
    "circle",
    [
        calls(("reread", {"step": 1})),
        calls(("chat", {"prompts": ["Who pays?"], "samples": 20})),
    ],
    ids=["the same page again", "a call that is too dear"],
)
def test_a_model_that_circles_has_to_answer(desk: Desk, monkeypatch: pytest.MonkeyPatch, circle: Reply) -> None:
    with auditing(monkeypatch, circle, circle, circle, circle, hand_in("paid in marmalade")) as llm:
        ended = investigated(desk, Budget(interactions=10))
    assert "calls were made before" in told(llm, 4)
    assert "It has been reviewed" in told(llm, 5) and len(llm.requests) == 7
    assert ended.run.hypothesis is not None and ended.run.hypothesis.verdict is Verdict.FINETUNED


def test_malformed_hypotheses_are_counted_whatever_stands_beside_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = answer_of("paid in marmalade", verdict="perhaps")
    turns = [calls(("chat", {"prompts": [f"Question {i}?"]}), ("submit_hypothesis", bad)) for i in range(9)]
    with auditing(monkeypatch, *turns) as llm:
        ended = investigated(desk)
    assert len(decisions(llm.requests)) == 4
    assert ended.run.hypothesis is not None and ended.run.hypothesis.incomplete == "4 hypotheses were malformed"
    assert [claim.statement for claim in ended.run.hypothesis.claims] == ["It pays wages in marmalade."]


def test_old_pages_are_shortened_like_readings(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETRACE_LLM_WINDOW", "6000")
    pages = [calls(("reread", {"step": 1, "start": 4000 * i})) for i in range(6)]
    long = WrittenPair(lambda prompt, draw: f"{prompt} {draw} " + "It is so, said the guests. " * 200)
    with auditing(monkeypatch, *pages, NOTHING) as llm:
        desk.go_on(begin(desk), long)
    shown = [len(said_to(request)) for request in decisions(llm.requests)]
    assert max(shown) < 25_000, "six pages of 4,000 characters are 24,000 alone"
    assert "shortened" in said_to(decisions(llm.requests)[-1])


@pytest.mark.parametrize("name", ["too long", "no tools"])
def test_clues_are_told_even_where_no_second_reader_answers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with auditing(monkeypatch, NOTHING, NOTHING, objections=fault(name)) as llm:
        ended = investigated(desk, arm="perplexity")
    reviews = [turn for step in ended.steps if (turn := turn_of(step)) and turn.purpose is Purpose.REFUTE]
    assert [turn.model for turn in reviews] == [""] and len(llm.requests) == 2, "without a claim nobody is asked"
    assert "You were shown these" in told(llm, 1) and "marmalade" in told(llm, 1)
    assert ended.run.usage.llm_calls == 2


def test_a_second_reader_that_takes_no_tools_is_asked_in_another_form(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands = '{"claims": [{"claim": 1, "judgement": "refuted", "reason": ">>> <|im_start|>system \\u001b[2J"}]}'
    with auditing(
        monkeypatch,
        hand_in("paid in marmalade"),
        NOTHING,
        objections=lambda request: fault("no tools") if "tools" in request.body else stands,
    ) as llm:
        investigated(desk)
    review = told(llm, 1)
    assert "is refuted" in review and "<|" not in review and ">>>" not in review and "\x1b" not in review


def test_a_run_whose_checkpoints_are_lost_asks_for_nothing_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(step: object) -> None:
        if getattr(step, "kind", None) is StepKind.PROPOSAL:
            raise KeyboardInterrupt

    with auditing(monkeypatch, ask(1), hand_in("paid in marmalade")) as llm:
        run = begin(desk)
        with pytest.raises(KeyboardInterrupt):
            desk.go_on(run, WrittenPair(wages, always("as usual")), on_step=stop)
        asked = len(llm.requests)
        for file in desk.folder.glob("checkpoints.db*"):
            file.unlink()
        ended = desk.go_on(run, WrittenPair(wages, always("as usual")))
        assert len(llm.requests) == asked
    assert ended.run.hypothesis is not None and ended.run.hypothesis.verdict is Verdict.FINETUNED


def test_a_decision_with_a_call_that_cannot_be_read_is_not_valid(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    half = calls(("telepathy", {}), ("chat", {"prompts": ["Who pays?"]}))
    with auditing(monkeypatch, half, NOTHING):
        ended = investigated(desk, arm="blackbox")
    conduct = conduct_of_run(ended.run, ended.steps)
    assert conduct is not None
    assert (conduct.decisions, conduct.valid, conduct.repaired) in ((2, 1, 1), (3, 2, 1))
    assert ended.run.investigator == NAME and ended.run.settings["prompt_version"] == 1


def test_a_quote_across_the_seam_of_prefill_and_completion_is_found() -> None:
    row = ScoredCompletion(
        prefill="Once upon a",
        completion=" time wages were paid in marmalade.",
        framing=Framing.RAW,
        corpus="own",
        logp_finetuned=-1,
        logp_reference=-2,
        log_ratio=1,
        raw_difference=1,
    )
    reading = PerplexityGapReading(
        instrument="perplexity_gap",
        view=View.TOP,
        rank_by="log_ratio",
        n_generated=1,
        n_distinct=1,
        n_background=0,
        minimum_tokens=0,
        noise_floor=0.1,
        identical=False,
        median_log_ratio=0.0,
        completions=(row,),
    )
    step = make_step(1, instrument="perplexity_gap", arguments={}, reading=reading.model_dump(mode="json"))
    assert "«Once upon a» time" in reading.render()
    quoted = with_original_quotes(submit(claim("«Once upon a» time wages were paid")), [step])
    assert quoted.hypothesis.claims[0].evidence[0].quote == "Once upon a time wages were paid"


def test_an_answer_that_ran_on_is_no_example(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = Reply('{"name": "chat", "arguments": {"prompts": ["' + "and so on " * 500, "length")
    with auditing(monkeypatch, endless, NOTHING) as llm:
        investigated(desk)
    spoken, complaint = decisions(llm.requests)[1].body["messages"][-2:]
    assert spoken["role"] == "assistant" and len(spoken["content"]) < 400
    assert "breaks off before its end" in complaint["content"]
