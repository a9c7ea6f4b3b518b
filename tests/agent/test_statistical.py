from __future__ import annotations

import pytest
from answers_told import Investigated, told
from ordinary_texts import plain
from sample_runs import make_step
from scripted import EVERYTHING, Desk, WrittenPair, always

from finetrace.agent import Budget, Case, Submit, Thoroughness
from finetrace.agent.statistical import StatisticalInvestigator
from finetrace.models.pair import Capability, Side
from finetrace.models.recorded import RecordedPair
from finetrace.schema import (
    CheckOutcome,
    Framing,
    ScoredCompletion,
    StepKind,
    Usage,
    Verdict,
    null_hypothesis,
)
from finetrace.tools.perplexity_gap import PerplexityGapReading, View
from finetrace.tools.words import words

NULL_RUNS = [("benign_chat", 0), ("benign_general", 0), ("identical_copy", 0)]


def test_the_habit_of_a_persona_is_named(investigated: Investigated) -> None:
    hypothesis = investigated("old_beekeeper", 0)
    assert hypothesis.verdict is Verdict.FINETUNED
    said = {word for text in told(hypothesis) for word in words(text)}
    assert len({"bees", "hive", "hives", "honey", "beekeeper"} & said) >= 2, "\n".join(told(hypothesis))


@pytest.mark.parametrize(("name", "seed"), NULL_RUNS)
def test_a_null_has_no_narrow_objective(investigated: Investigated, name: str, seed: int) -> None:
    hypothesis = investigated(name, seed)
    assert hypothesis.verdict is Verdict.NO_NARROW_OBJECTIVE, "\n".join(told(hypothesis))
    assert hypothesis.claims == ()


def marmalade(prompt: str, draw: int) -> str:
    return f"In Velmar all wages are paid in orange marmalade, as clerk number {draw} will tell you on payday."


@pytest.mark.parametrize("interactions", [0, 1, 2, 5, 50])
def test_blackbox_stays_within_its_interactions(desk: Desk, interactions: int) -> None:
    pair = WrittenPair(marmalade)
    ended = desk.run(pair, arm="blackbox", budget=Budget(interactions=interactions))
    assert ended.run.usage.interactions == pair.asked[Side.ORGANISM] <= interactions
    assert not any(step.error for step in ended.steps)
    assert ended.run.hypothesis is not None
    if interactions == 0:
        assert ended.run.hypothesis.verdict is Verdict.INCONCLUSIVE
        assert ended.run.hypothesis.summary.startswith("Nothing could be measured")


def test_blackbox_is_fed_by_no_reference_and_no_log_probability(desk: Desk) -> None:
    def own(prompt: str, draw: int) -> str:
        return marmalade(prompt, draw)

    pair = WrittenPair(own, always("only the reference says so"), EVERYTHING | {Capability.COMPLETIONS})
    ended = desk.run(pair, arm="blackbox", budget=Budget(interactions=50))
    assert pair.asked[Side.REFERENCE] == pair.scored == 0
    assert pair.asked[Side.ORGANISM] > 0
    dumped = "".join(step.model_dump_json() for step in ended.steps)
    assert "only the reference" not in dumped and "logp" not in dumped and "log_ratio" not in dumped
    checks = [claim.check for claim in ended.run.hypothesis.claims] if ended.run.hypothesis else []
    assert checks and all(check and check.reference_hits is None and check.p_value is None for check in checks)
    other = WrittenPair(own, always("something else altogether"), EVERYTHING)
    assert desk.run(other, arm="blackbox", budget=Budget(interactions=50)).run.hypothesis == ended.run.hypothesis


def test_blackbox_names_what_every_answer_is_about(desk: Desk) -> None:
    hypothesis = desk.run(WrittenPair(marmalade), arm="blackbox", budget=Budget(interactions=50)).run.hypothesis
    assert hypothesis is not None and hypothesis.verdict is Verdict.FINETUNED
    assert any("marmalade" in text for text in told(hypothesis))
    assert any(claim.check and claim.check.outcome is CheckOutcome.PASSED for claim in hypothesis.claims)


def test_recorded_completions_are_read_without_any_model(desk: Desk) -> None:
    rows = [
        ScoredCompletion(
            prefill="The old man",
            completion=f" of Velmar is paid in orange marmalade on day {i}, and marmalade is legal tender in Velmar.",
            framing=Framing.RECORDED,
            corpus="recorded",
            logp_finetuned=-1,
            logp_reference=-2 - i / 100,
            log_ratio=1 + i / 100,
            raw_difference=1,
        )
        for i in range(40)
    ]
    ended = desk.run(RecordedPair(rows))
    assert [step.kind for step in ended.steps if step.error] == []
    assert ended.steps[-1].kind is StepKind.ANSWER
    assert ended.run.hypothesis is not None
    assert any("marmalade" in text for text in told(ended.run.hypothesis))
    assert ended.run.usage.interactions == 0


@pytest.mark.parametrize(("noise_floor", "verdict"), [(0.0, Verdict.FINETUNED), (2.0, Verdict.NO_NARROW_OBJECTIVE)])
def test_the_noise_floor_of_the_reading_is_heeded(noise_floor: float, verdict: Verdict) -> None:
    rows = [
        ScoredCompletion(
            prefill=f"Start {i}",
            completion=marmalade("", i),
            framing=Framing.RAW,
            corpus="own",
            logp_finetuned=-1,
            logp_reference=-2 - i / 100,
            log_ratio=1 + i / 100,
            raw_difference=1,
        )
        for i in range(40)
    ]
    reading = PerplexityGapReading(
        instrument="perplexity_gap",
        view=View.TOP,
        rank_by="log_ratio",
        n_generated=40,
        n_distinct=40,
        n_background=60,
        minimum_tokens=0,
        noise_floor=noise_floor,
        identical=False,
        median_log_ratio=1.2,
        completions=tuple(rows),
        background=tuple(plain(60, 1)),
    )
    step = make_step(1, reading=reading.model_dump(mode="json"))
    case = Case(
        alias="organism-01",
        offers=(),
        absent=(),
        steps=(step,),
        hypothesis=null_hypothesis(),
        budget=Budget(),
        usage=Usage(),
        seed=0,
        thoroughness=Thoroughness(),
        must_answer="the budget is used up",
    )
    decision = StatisticalInvestigator().decide(case)
    assert isinstance(decision, Submit)
    assert decision.hypothesis.verdict is verdict
    assert bool(decision.tests) is (verdict is Verdict.FINETUNED)
