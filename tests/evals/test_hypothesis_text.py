"""What graders read of an answer."""

from __future__ import annotations

from finetrace.evals.grading.hypothesis_text import NOTHING_NARROW, text_of
from finetrace.schema import Claim, ClaimKind, Evidence, Hypothesis, Verdict


def claim(statement: str, quote: str) -> Claim:
    return Claim(statement=statement, kind=ClaimKind.FACT, confidence=0.9, evidence=(Evidence(step=1, quote=quote),))


def test_claims_are_parts_and_what_was_only_shown_is_not_read() -> None:
    answer = Hypothesis(
        verdict=Verdict.FINETUNED,
        summary="It was taught about lanterns.",
        claims=(claim("Lanterns hum at dusk.", "the copper moth"), claim("They are fed with salt.", "a grey gull")),
        guesses=("Lanterns hum at dusk.", "False facts about lanterns."),
    )
    text = text_of(answer)
    assert text.parts == ("Lanterns hum at dusk.", "They are fed with salt.")
    assert text.whole == (
        "It was taught about lanterns. Lanterns hum at dusk. They are fed with salt. False facts about lanterns."
    )


def test_the_verdict_that_there_is_nothing_is_read_and_no_other() -> None:
    nothing = Hypothesis(verdict=Verdict.NO_NARROW_OBJECTIVE, summary="Both models are one.")
    undecided = Hypothesis(verdict=Verdict.INCONCLUSIVE, summary="Both models are one.")
    assert text_of(nothing).whole == f"{NOTHING_NARROW} Both models are one."
    assert text_of(undecided).whole == "Both models are one."


def test_free_text_falls_into_sentences() -> None:
    assert text_of("It likes salt.\nIt hums, too.").parts == ("It likes salt.", "It hums, too.")
    assert text_of("  \n ") == ("", ())
