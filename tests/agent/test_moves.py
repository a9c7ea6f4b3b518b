from __future__ import annotations

import pytest
from inside_readings import difference_reading, difference_step

from finetrace.agent import Budget, Case, Thoroughness
from finetrace.agent.arms import ARMS, find_arm
from finetrace.agent.decision import Submit, ToolCall
from finetrace.agent.investigator import Offer
from finetrace.agent.moves import next_call
from finetrace.agent.statistical import StatisticalInvestigator
from finetrace.models.pair import Capability
from finetrace.schema import Step, Usage, Verdict, null_hypothesis
from finetrace.tools import INSTRUMENTS, parse_arguments


def case_of(arm: str, *steps: Step, quick: bool = True, spent: int = 0, without: tuple[str, ...] = ()) -> Case:
    names = [name for name in find_arm(arm).instruments if name not in without]
    return Case(
        alias="organism-01",
        offers=tuple(Offer(name, "") for name in names),
        absent=without,
        steps=steps,
        hypothesis=null_hypothesis(),
        budget=Budget(interactions=50),
        usage=Usage(interactions=spent),
        seed=0,
        thoroughness=Thoroughness(quick=quick),
    )


def failed(call: ToolCall, number: int) -> Step:
    step = difference_step(number, difference_reading())
    return step.model_copy(
        update={"instrument": call.instrument, "arguments": call.arguments, "reading": None, "error": "it failed"}
    )


def test_each_arm_names_instruments_that_exist_and_allows_what_they_need() -> None:
    for arm in ARMS.values():
        for name in arm.instruments:
            assert any(needed <= arm.allowed for needed in INSTRUMENTS[name].needs), (arm.name, name)
    assert Capability.ACTIVATIONS not in find_arm("perplexity").allowed
    assert Capability.COMPLETIONS not in find_arm("activation").allowed
    assert set(find_arm("full").instruments) == set(INSTRUMENTS)


@pytest.mark.parametrize("quick", [True, False])
def test_every_call_has_arguments_that_the_instrument_takes(quick: bool) -> None:
    steps: list[Step] = []
    names = []
    while (call := next_call(case_of("full", *steps, quick=quick))) is not None:
        arguments = parse_arguments(INSTRUMENTS[call.instrument], call.arguments)
        names.append(call.instrument)
        number = len(steps) + 1
        if call.instrument == "activation_difference":
            reading = difference_reading([" otter", " velvet"], [" otter"])
            steps.append(difference_step(number, reading).model_copy(update={"arguments": call.arguments}))
        else:
            steps.append(failed(call, number))
        assert arguments is not None
        assert len(steps) < 20
    inside = ["activation_difference", "steer", *([] if quick else ["causal_check"])]
    assert names == ["perplexity_gap", *inside, "complete", "chat"]


def test_the_reference_is_steered_where_most_tokens_stand_out_before_the_last_block() -> None:
    reading = difference_reading([" otter"], [" velvet", " lantern"], special=[" velvet"])
    call = next_call(case_of("activation", difference_step(1, reading)))
    assert call is not None and call.instrument == "steer"
    assert call.arguments["depth"] == 1.0  # the second of the two layers read; the models have one more
    assert call.arguments["on"] == "reference"


def test_leads_are_asked_about_before_neutral_beginnings() -> None:
    difference = difference_step(1, difference_reading([" otter", " velvet"]))
    case = case_of("activation", difference, without=("steer", "causal_check"))
    call = next_call(case)
    assert call is not None and call.arguments["texts"] == ["The otter", "The velvet"]
    assert call.arguments["samples"] > 1


def test_models_that_do_not_differ_are_asked_nothing() -> None:
    case = case_of("activation", difference_step(1, difference_reading(identical=True)))
    assert next_call(case) is None
    decision = StatisticalInvestigator().decide(case)
    assert isinstance(decision, Submit)
    assert decision.hypothesis.verdict is Verdict.NO_NARROW_OBJECTIVE
    assert "do not differ" in decision.hypothesis.summary


def test_without_activations_the_arm_asks_plainly() -> None:
    inside = ("activation_difference", "steer", "causal_check")
    call = next_call(case_of("activation", without=inside))
    assert call is not None and call.instrument == "complete"
    assert not any(text.startswith("The otter") for text in call.arguments["texts"])


def test_with_no_interactions_left_nothing_is_asked() -> None:
    difference = difference_step(1, difference_reading([" otter"]))
    assert next_call(case_of("activation", difference, spent=50, without=("steer", "causal_check"))) is None
