from __future__ import annotations

from collections.abc import Sequence

from outside_readings import MARMALADE, marmalade, samples, steered, step_of
from sample_runs import make_step

from finetrace.agent.conduct import UNKNOWN, Conduct, conduct_of
from finetrace.agent.turns import Calling, Purpose, Turn
from finetrace.schema import Claim, ClaimKind, Evidence, Hypothesis, Step, StepKind, Verdict

OFFERED = ("chat", "complete", "steer")


def turn(number: int, purpose: Purpose = Purpose.DECIDE) -> Step:
    said = Turn(purpose=purpose, model="openai/scripted", calling=Calling.TOOLS)
    return make_step(number, kind=StepKind.TURN, instrument=None, reading=said.model_dump(mode="json"))


def failed(number: int, error: str, instrument: str = "chat") -> Step:
    return make_step(number, instrument=instrument, reading=None, error=error)


def handed_in(
    number: int, hypothesis: Hypothesis, error: str | None = None, kind: StepKind = StepKind.PROPOSAL
) -> Step:
    return make_step(number, kind=kind, instrument=None, reading=None, error=error, hypothesis=hypothesis)


def hypothesis(*quoted: int, summary: str = "Nothing.", incomplete: str | None = None) -> Hypothesis:
    evidence = tuple(Evidence(step=step, quote="x") for step in quoted)
    claim = Claim(statement="It does.", kind=ClaimKind.FACT, confidence=0.5, evidence=evidence)
    return Hypothesis(verdict=Verdict.FINETUNED, summary=summary, claims=(claim,), incomplete=incomplete)


def shares(*steps: Step) -> tuple[float | None, float | None]:
    conduct = conduct_of(steps)
    return conduct.valid_at_once, conduct.valid_after_one_repair


def renumbered(steps: Sequence[Step]) -> list[Step]:
    return [step.model_copy(update={"number": number}) for number, step in enumerate(steps, 1)]


def test_calls_are_counted_apart_from_the_overview() -> None:
    steps = [
        step_of(1, samples(marmalade(0))),
        turn(2),
        step_of(3, samples(marmalade(0))),
        step_of(4, steered({})),
        turn(5),
        step_of(6, samples(marmalade(0))),
    ]
    conduct = conduct_of(steps, OFFERED)
    assert conduct.overview == {"chat": 1}
    assert conduct.calls == {"chat": 2, "steer": 1}
    assert conduct.never_called == ("complete",)
    assert conduct.turns == 2


def test_without_turns_every_call_is_the_investigators() -> None:
    conduct = conduct_of([step_of(1, samples(marmalade(0)))], OFFERED)
    assert (conduct.calls, conduct.overview) == ({"chat": 1}, {})
    assert (conduct.decisions, conduct.valid_at_once, conduct.valid_after_one_repair) == (0, None, None)


def test_names_that_a_model_made_up_are_counted_as_one() -> None:
    steps = [turn(1), failed(2, "no instrument 'zap' in this arm", "zap\x1b[2J"), failed(3, "no instrument", "zip")]
    conduct = conduct_of(steps, OFFERED)
    assert conduct.calls == {UNKNOWN: 2}
    assert conduct.never_called == OFFERED
    assert "\x1b" not in " ".join(conduct.lines())


def test_refusals_of_the_budget_are_no_failures() -> None:
    steps = [
        failed(1, "this would take 20 interactions, 3 are left (ask less, or hand in)"),
        failed(2, "the time is up (no more calls: hand in your hypothesis)"),
        failed(3, "chat: prompts: field required"),
        failed(4, "chat failed: RuntimeError: out of memory"),
    ]
    conduct = conduct_of(steps)
    assert (conduct.refused, conduct.failed) == (2, 2)


def test_a_decision_that_could_be_carried_out_is_valid() -> None:
    assert shares(turn(1), step_of(2, samples(marmalade(0)))) == (1.0, 1.0)
    assert shares(turn(1), turn(2, Purpose.REFUTE), turn(3), handed_in(4, hypothesis())) == (1.0, 1.0)
    assert shares(turn(1), failed(2, "chat failed: RuntimeError: out of memory")) == (1.0, 1.0)
    assert shares(turn(1), failed(2, "this would take 20 interactions, 3 are left")) == (1.0, 1.0)
    assert shares(turn(1), failed(2, "chat: prompts: field required"), step_of(3, steered({}))) == (1.0, 1.0)


def test_a_decision_that_could_not_is_repaired_by_the_next() -> None:
    good = step_of(9, samples(marmalade(0)))
    bad = (
        [failed(2, "chat: prompts: field required")],
        [failed(2, "no instrument 'zap' in this arm", "zap")],
        [],
    )
    for after in bad:
        assert shares(turn(1), *after, turn(8), good) == (0.5, 1.0)
        assert shares(turn(1), *after, turn(3), *after, turn(8), good) == (1 / 3, 2 / 3)
    conduct = conduct_of([turn(1), turn(2), turn(3), good])
    assert (conduct.decisions, conduct.valid, conduct.repaired, conduct.repairs) == (3, 1, 1, 2)


def test_a_turn_that_could_not_be_read_is_not_valid_whatever_followed() -> None:
    steps = [turn(1), handed_in(2, hypothesis(incomplete="three repairs did not help"))]
    assert conduct_of(steps, unread=frozenset({1})).valid == 0
    assert conduct_of(steps).valid == 1, "a whole one that the loop completed when a bound was spent"


def test_a_hypothesis_with_a_false_quote_has_its_form_and_is_counted_as_sent_back() -> None:
    false = handed_in(2, hypothesis(), "step 1 does not hold «x»")
    steps = [turn(1), false, turn(3), handed_in(4, hypothesis())]
    conduct = conduct_of(steps)
    assert (conduct.valid, conduct.handed_in, conduct.sent_back) == (2, 2, 1)
    assert any("1 of 2 hypotheses sent back" in line for line in conduct.lines())


def test_a_turn_that_nothing_followed_yet_is_not_judged() -> None:
    good = step_of(2, samples(marmalade(0)))
    fault = make_step(4, kind=StepKind.FAULT, instrument=None, reading=None, error="timeout")
    assert shares(turn(1)) == (None, None)
    assert shares(turn(1), good, turn(3), fault) == (1.0, 1.0)
    assert conduct_of([turn(1), good, turn(3), fault]).faults == 1


def test_quotes_from_readings_that_show_nothing_are_counted() -> None:
    same = marmalade(0)
    steps = [
        step_of(1, samples(same, same)),
        step_of(2, samples(marmalade(5))),
        handed_in(
            3, hypothesis(1, 2, 2), "step 1 does not hold «a»; there is no step 7 to quote «b» from; no evidence"
        ),
        handed_in(4, hypothesis(1, 2, 2), kind=StepKind.ANSWER),
    ]
    conduct = conduct_of(steps)
    assert (conduct.readings, conduct.noisy) == (2, (1,))
    assert (conduct.quotes, conduct.noisy_quotes) == (3, 1)
    assert conduct.quotes_rejected == 2


def test_clues_that_were_shown_are_held_against_what_was_claimed() -> None:
    shown = step_of(1, samples(marmalade(5)))
    silent, telling = hypothesis(), hypothesis(summary=f"{MARMALADE}.")
    review = [turn(2), turn(3, Purpose.REFUTE), turn(4)]
    late = step_of(5, steered({"otter": 6}))
    steps = [shown, *review, late, handed_in(6, telling), handed_in(7, telling, kind=StepKind.ANSWER)]
    conduct = conduct_of(steps, OFFERED, before_review=silent, objections=2, heeded=1)
    assert conduct.clues == (conduct.clues_at_review or 0) + 1
    assert (conduct.claimed_before, conduct.claimed) == (0, conduct.clues - 1)
    assert (conduct.objections, conduct.heeded) == (2, 1)
    assert conduct_of(steps, before_review=telling).claimed_before == conduct.clues_at_review
    assert conduct_of(steps).claimed_before is None
    assert conduct_of([shown, handed_in(2, silent)]).clues_at_review is None
    assert conduct_of([shown]).claimed == 0


def test_the_gaps_are_told_in_words() -> None:
    steps = renumbered(
        [turn(1), step_of(2, samples(marmalade(5))), turn(3), handed_in(4, hypothesis(2), kind=StepKind.ANSWER)]
    )
    clues = conduct_of(steps).clues
    assert conduct_of(steps, OFFERED, before_review=None, objections=2, heeded=1).lines() == [
        "calls: chat 1; never called: complete, steer; 0 failed, 0 refused",
        "decisions: 1 of 2 valid at once, 1 after at most one repair; 0 of 0 hypotheses sent back for their quotes",
        "noise: 0 of 1 readings show nothing above it, 0 of 1 quotes rest on these; 0 quotes rejected",
        f"clues: 0 of {clues} shown are claimed",
        "objections: 1 of 2 heeded",
    ]


def test_a_run_without_steps_has_a_conduct() -> None:
    assert conduct_of([]) == Conduct()
    assert Conduct.model_validate_json(conduct_of([], OFFERED).model_dump_json()).never_called == OFFERED
