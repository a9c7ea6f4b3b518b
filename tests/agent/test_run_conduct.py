from __future__ import annotations

import pytest
from sample_runs import make_run
from scripted import Desk, WrittenPair, always
from scripted_llm import Reply, calls, running_llm

from finetrace.agent import Budget
from finetrace.agent.run_conduct import OFFERED, conduct_of_run

LLM = "openai/scripted"
STATEMENTS = ("It pays in jam.", "It fears geese.", "It speaks of Ostrel.")


def hand_in(*confidence: float) -> Reply:
    """One claim for each confidence that is not 0."""
    claims = [
        {
            "statement": s,
            "kind": "fact",
            "confidence": c,
            "evidence": [{"step": 1, "quote": "Wages of jam"}],
            "shown_by": ["jam"],
        }
        for s, c in zip(STATEMENTS, confidence, strict=True)
        if c
    ]
    return calls(
        ("submit_hypothesis", {"verdict": "finetuned", "summary": "Jam.", "claims": claims, "guesses": ["jam"]})
    )


def judged(*judgements: str) -> Reply:
    told = [{"claim": i, "judgement": judgement, "reason": "so"} for i, judgement in enumerate(judgements, 1)]
    return calls(("report", {"claims": told}))


@pytest.mark.parametrize(
    ("after", "heeded"), [((0.8, 0.8, 0.8), 0), ((0.8, 0.5, 0.8), 1), ((0.8, 0.5, 0), 2), ((0, 0.8, 0.8), 0)]
)
def test_objections_count_as_heeded_where_the_claim_gave_way(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, after: tuple[float, ...], heeded: int
) -> None:
    with running_llm(monkeypatch) as llm:
        llm.say(hand_in(0.8, 0.8, 0.8), judged("stands", "doubtful", "refuted"), hand_in(*after))
        pair = WrittenPair(always("Wages of jam."), always("as usual"))
        ended = desk.run(pair, arm="blackbox", investigator=LLM, budget=Budget(interactions=20))
    conduct = conduct_of_run(ended.run, ended.steps)
    assert conduct is not None
    assert (conduct.objections, conduct.heeded, conduct.turns) == (2, heeded, 3)
    assert conduct.never_called == ("chat", "complete") and conduct.clues_at_review is not None
    begun = conduct_of_run(ended.run, ended.steps[:4])
    assert begun is not None and (begun.objections, begun.heeded) == (2, 0)


def test_only_instruments_that_were_offered_can_be_left_unused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_llm(monkeypatch) as llm:
        llm.say(hand_in(0.8, 0, 0), judged("stands"), hand_in(0.8, 0, 0))
        pair = WrittenPair(always("Wages of jam."), always("as usual"))
        ended = desk.run(pair, arm="blackbox", investigator=LLM, budget=Budget(interactions=20))
    run = ended.run.model_copy(update={"settings": {**ended.run.settings, OFFERED: ["chat"]}})
    conduct = conduct_of_run(run, ended.steps)
    assert conduct is not None and conduct.never_called == ("chat",) and conduct.heeded == 0


def test_a_run_without_a_language_model_has_no_conduct() -> None:
    assert conduct_of_run(make_run(), []) is None
