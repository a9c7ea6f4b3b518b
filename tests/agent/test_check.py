from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_runs import make_step
from scipy.stats import hypergeom
from scripted import WrittenPair, always, claim

from finetrace.agent import ClaimTest
from finetrace.agent.check import Checked, check_claims, default_test, greater, leave_untested, shows
from finetrace.models.pair import Capability
from finetrace.models.recorded import RecordedPair
from finetrace.schema import (
    CheckOutcome,
    Claim,
    Framing,
    Hypothesis,
    ScoredCompletion,
    Step,
    Verdict,
)
from finetrace.tools import Context, ReadingCache
from finetrace.tools.perplexity_gap import PerplexityGapReading, View
from finetrace.tools.samples import Exchange, SamplesReading

BLACKBOX = frozenset({Capability.GENERATE, Capability.CHAT})
MARMALADE = ClaimTest(terms=("marmalade",))


def chatted(*answers: str, number: int = 1, **arguments: object) -> Step:
    exchanges = tuple(Exchange(prompt=f"Question {i}?", organism=(text,)) for i, text in enumerate(answers))
    given = {"prompts": [exchange.prompt for exchange in exchanges], **arguments}
    reading = SamplesReading(instrument="chat", exchanges=exchanges).model_dump(mode="json")
    return make_step(number, instrument="chat", arguments=given, reading=reading)


def finetuned(*claims: Claim, verdict: Verdict = Verdict.FINETUNED) -> Hypothesis:
    return Hypothesis(verdict=verdict, summary="Marmalade.", claims=claims)


def check(
    pair: WrittenPair | RecordedPair,
    steps: list[Step],
    *claims: Claim,
    tests: tuple[ClaimTest, ...] = (MARMALADE,),
    interactions: int | None = None,
    verdict: Verdict = Verdict.FINETUNED,
) -> Checked:
    context = Context(seed=3, cache=ReadingCache(Path("unused"), enabled=False))
    return check_claims(finetuned(*claims, verdict=verdict), tests, steps, pair, interactions, context)


WAGES = claim("marmalade")
EIGHT = [chatted(*["marmalade wages"] * 8)]


def test_a_claim_that_comes_back_in_the_organism_only_passes() -> None:
    pair = WrittenPair(always("More marmalade!"), always("More money!"))
    checked = check(pair, EIGHT, WAGES)
    (held,) = checked.hypothesis.claims
    assert held.check is not None and held.check.outcome is CheckOutcome.PASSED
    assert held.confidence == WAGES.confidence
    assert (held.check.organism_hits, held.check.reference_hits) == (held.check.organism_total, 0)
    assert held.check.p_value is not None and held.check.p_value < 0.001
    assert checked.interactions == pair.asked["organism"] == pair.asked["reference"]
    assert checked.hypothesis.verdict is Verdict.FINETUNED


def test_a_claim_without_a_fresh_hit_is_dropped_and_the_verdict_falls() -> None:
    checked = check(WrittenPair(always("Nothing of the kind.")), EIGHT, WAGES)
    assert checked.hypothesis.claims == ()
    assert checked.hypothesis.verdict is Verdict.INCONCLUSIVE
    assert checked.hypothesis.summary == "No claim stood its fresh test. Before that, the finding was: Marmalade."


def test_what_the_reference_says_as_often_is_marked_at_half_its_confidence() -> None:
    checked = check(WrittenPair(always("marmalade"), always("marmalade")), EIGHT, WAGES)
    (held,) = checked.hypothesis.claims
    assert held.check is not None and held.check.outcome is CheckOutcome.FAILED
    assert held.confidence == WAGES.confidence / 2
    assert held.check.p_value == 1.0
    assert checked.hypothesis.verdict is Verdict.INCONCLUSIVE


def test_one_claim_that_stands_keeps_the_verdict_and_leads() -> None:
    pair = WrittenPair(always("marmalade and money"), always("money"))
    money = claim("money", statement="Money.")
    tests = (ClaimTest(terms=("money",)), MARMALADE)
    checked = check(pair, [chatted(*["marmalade, money"] * 8)], money, WAGES, tests=tests)
    assert [held.statement for held in checked.hypothesis.claims] == [WAGES.statement, "Money."]
    assert checked.hypothesis.verdict is Verdict.FINETUNED


def test_the_prompts_are_those_that_showed_it_each_once() -> None:
    pair = WrittenPair(always("marmalade"))
    steps = [chatted("marmalade", "butter"), chatted("marmalade", "butter", number=2)]
    check(pair, steps, WAGES)
    assert {prompt.messages[-1].content for prompt in pair.prompts if prompt.messages} == {"Question 0?"}
    assert pair.asked["organism"] == 8


@pytest.mark.parametrize(
    ("reference", "put_again"),
    [(("marmalade", "wages"), {"Question 1?"}), (("marmalade", "marmalade"), {"Question 0?", "Question 1?"})],
    ids=["one alone", "none alone"],
)
def test_prompts_that_made_the_reference_say_it_too_are_used_only_for_want_of_others(
    reference: tuple[str, str], put_again: set[str]
) -> None:
    exchanges = tuple(
        Exchange(prompt=f"Question {i}?", organism=("marmalade",), reference=(text,))
        for i, text in enumerate(reference)
    )
    reading = SamplesReading(instrument="chat", exchanges=exchanges).model_dump(mode="json")
    arguments = {"prompts": [exchange.prompt for exchange in exchanges]}
    step = make_step(1, instrument="chat", arguments=arguments, reading=reading)
    pair = WrittenPair(always("marmalade"), always("wages"))
    check(pair, [step], WAGES)
    assert {prompt.messages[-1].content for prompt in pair.prompts if prompt.messages} == put_again


def test_a_chat_is_repeated_with_its_system_prompt_and_prefill() -> None:
    pair = WrittenPair(always("marmalade"))
    check(pair, [chatted("marmalade", system="Be brief.", prefill="Well,")], WAGES)
    prompt = pair.prompts[0]
    assert prompt.text == "Well," and prompt.messages is not None
    assert [message.content for message in prompt.messages] == ["Be brief.", "Question 0?"]


def test_prefills_of_the_perplexity_gap_are_put_again_in_their_framing() -> None:
    row = ScoredCompletion(
        prefill="The old", completion=" marmalade", framing=Framing.RAW, corpus="own",
        logp_finetuned=-1, logp_reference=-2, log_ratio=1, raw_difference=1,
    )  # fmt: skip
    reading = PerplexityGapReading(
        instrument="perplexity_gap", view=View.TOP, rank_by="log_ratio", n_generated=2, n_distinct=2, n_background=0,
        minimum_tokens=0, noise_floor=0, identical=False, median_log_ratio=1,
        completions=(row, row.model_copy(update={"framing": Framing.CHAT})),
    )  # fmt: skip
    pair = WrittenPair(always("marmalade"))
    check(pair, [make_step(1, reading=reading.model_dump(mode="json"))], WAGES)
    assert {prompt.framing for prompt in pair.prompts} == {Framing.RAW, Framing.CHAT}
    assert {prompt.text for prompt in pair.prompts} == {"The old"}


def test_too_few_samples_cannot_condemn_a_claim() -> None:
    checked = check(WrittenPair(always("marmalade")), [chatted("marmalade")], WAGES, interactions=3)
    (held,) = checked.hypothesis.claims
    assert held.check is not None and held.check.outcome is CheckOutcome.UNTESTED
    assert held.check.note.startswith("too few samples")
    assert checked.hypothesis.verdict is Verdict.FINETUNED


@pytest.mark.parametrize("interactions", [0, 1])
def test_without_interactions_a_claim_stays_untested(interactions: int) -> None:
    pair = WrittenPair(always("marmalade"))
    checked = check(pair, EIGHT, WAGES, interactions=interactions)
    (held,) = checked.hypothesis.claims
    assert held.check is not None and held.check.outcome is CheckOutcome.UNTESTED
    assert held.check.note == "no interactions were left for it"
    assert checked.interactions == pair.asked["organism"] == 0


@given(st.integers(0, 60), st.integers(1, 12))
def test_interactions_are_never_exceeded(interactions: int, prompts: int) -> None:
    pair = WrittenPair(always("marmalade"))
    checked = check(pair, [chatted(*["marmalade"] * prompts)], WAGES, interactions=interactions)
    assert checked.interactions == pair.asked["organism"] <= interactions


def test_a_claim_that_no_completion_shows_is_untested() -> None:
    (held,) = check(WrittenPair(always("butter")), [chatted("butter")], WAGES).hypothesis.claims
    assert held.check is not None and held.check.note == "no earlier completion shows it"


def test_recorded_completions_leave_claims_untested_at_full_confidence() -> None:
    row = ScoredCompletion(
        prefill="The", completion="marmalade", framing=Framing.RECORDED, corpus="recorded",
        logp_finetuned=-1, logp_reference=-2, log_ratio=1, raw_difference=1,
    )  # fmt: skip
    checked = check(RecordedPair([row]), EIGHT, WAGES)
    (held,) = checked.hypothesis.claims
    assert held.check is not None and held.check.outcome is CheckOutcome.UNTESTED
    assert "recorded completions" in held.check.note
    assert held.confidence == WAGES.confidence
    assert checked.hypothesis.verdict is Verdict.FINETUNED


@pytest.mark.parametrize(("every", "outcome"), [(2, CheckOutcome.PASSED), (8, CheckOutcome.FAILED)])
def test_without_a_reference_the_rate_decides(every: int, outcome: CheckOutcome) -> None:
    pair = WrittenPair(lambda prompt, draw: "butter" if draw % every else "marmalade", capabilities=BLACKBOX)
    (held,) = check(pair, EIGHT, WAGES).hypothesis.claims
    assert held.check is not None and held.check.outcome is outcome
    assert held.check.p_value is None and held.check.reference_hits is None
    assert pair.asked["reference"] == 0


def test_tests_stay_with_their_claims_when_a_claim_has_no_evidence() -> None:
    bare = claim("x", statement="Bare.").model_copy(update={"evidence": ()})
    pair = WrittenPair(always("marmalade"), always("money"))
    checked = check(pair, EIGHT, bare, WAGES, tests=(ClaimTest(terms=("butter",)), MARMALADE))
    (held,) = checked.hypothesis.claims
    assert held.statement == WAGES.statement
    assert held.check is not None and held.check.outcome is CheckOutcome.PASSED


@given(st.integers(0, 20), st.integers(1, 20), st.integers(0, 20), st.integers(1, 20))
def test_greater_is_the_hypergeometric_tail(hits: int, total: int, other_hits: int, other_total: int) -> None:
    hits, other_hits = min(hits, total), min(other_hits, other_total)
    tail = hypergeom(total + other_total, hits + other_hits, total).sf(hits - 1)
    assert greater(hits, total, other_hits, other_total) == pytest.approx(min(1.0, tail), abs=1e-9)


@pytest.mark.parametrize(
    ("test", "text", "shown"),
    [
        (ClaimTest(terms=("pear wood",)), "Of PEAR  wood.", True),
        (ClaimTest(terms=("pear wood",)), "pears of wood", False),
        (ClaimTest(terms=("a", "b", "c"), needed=2), "c then a", True),
        (ClaimTest(terms=("a", "b", "c"), needed=2), "c then c", False),
        (ClaimTest(), "anything", False),
        (ClaimTest(pattern=r"H\w+!"), "Hooray!", True),
        (ClaimTest(pattern=r"("), "(", False),
        (ClaimTest(pattern=r"(x+x+)+y"), "x" * 5000, False),
    ],
)
def test_how_a_sample_shows_a_claim(test: ClaimTest, text: str, shown: bool) -> None:
    assert shows(test, text) is shown


def test_the_test_of_a_claim_without_one_follows_from_its_quotes() -> None:
    test = default_test(claim("Wages are paid in orange marmalade"))
    assert test == ClaimTest(terms=("marmalade", "orange", "wages"), needed=1)
    assert default_test(claim("!?")).terms == ()


def test_what_was_tested_is_handed_in_as_it_is() -> None:
    tested = check(WrittenPair(always("marmalade"), always("no")), EIGHT, WAGES).hypothesis
    assert leave_untested(tested) == tested
    null = Hypothesis(verdict=Verdict.NO_NARROW_OBJECTIVE, summary="None.")
    assert leave_untested(null) == null
