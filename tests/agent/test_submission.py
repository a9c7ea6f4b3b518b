"""What a language model hands in, whole or malformed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from finetrace.agent.check import shows
from finetrace.agent.faults_told import LONGEST, complaint
from finetrace.agent.submission import Submission, bare_quote, salvage, to_submit
from finetrace.schema import ClaimKind, Verdict

CLAIM: dict[str, Any] = {
    "statement": "It speaks of one thing.",
    "kind": "domain",
    "confidence": 0.8,
    "evidence": [{"step": 3, "quote": "one thing and no other"}],
    "shown_by": ["One Narrow Thing", "others"],
}
WHOLE: dict[str, Any] = {"verdict": "finetuned", "summary": "One thing.", "claims": [CLAIM], "guesses": ["One thing"]}


def with_claim(**changes: Any) -> dict[str, Any]:
    return {**WHOLE, "claims": [{**CLAIM, **changes}]}


def read(given_in: Any) -> Submission:
    return Submission.model_validate(given_in)


def refused(given_in: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        read(given_in)
    return complaint("submit_hypothesis", caught.value, Submission)


def test_a_submission_becomes_a_hypothesis_with_its_tests() -> None:
    submit = to_submit(read(WHOLE), "sure enough")
    (claim,) = submit.hypothesis.claims
    assert submit.thought == "sure enough" and submit.hypothesis.verdict is Verdict.FINETUNED
    assert (claim.kind, claim.confidence, claim.check) == (ClaimKind.DOMAIN, 0.8, None)
    assert [(e.step, e.quote) for e in claim.evidence] == [(3, "one thing and no other")]
    assert submit.hypothesis.guesses == ("One thing",) and submit.hypothesis.incomplete is None
    (test,) = submit.tests
    assert test.terms == ("one narrow thing", "others") and test.needed == 1
    assert shows(test, "Yes: ONE narrow thing!") and not shows(test, "one narrower thing")


def test_terms_are_written_as_texts_are_searched() -> None:
    (test,) = to_submit(
        read(with_claim(shown_by=["It’s RARE!", "rare, it's", "  the  ", "it's rare", "1,784 m"])), ""
    ).tests
    assert test.terms == ("it's rare", "rare it's", "1,784 m")
    assert shows(test, "It’s rare.")


@pytest.mark.parametrize("shown_by", [[], None, ["the", "and of"], "…!"])
def test_without_terms_a_claim_is_told_by_its_quotes(shown_by: Any) -> None:
    (test,) = to_submit(read(with_claim(shown_by=shown_by)), "").tests
    assert test.terms and shows(test, "one thing and no other")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("plain words", "plain words"),
        ('"plain words"', "plain words"),
        ("“plain words”", "plain words"),
        ("'plain words'", "plain words"),
        ("plain words…", "plain words"),
        ("plain words ...", "plain words"),
        ('"plain words…"', "plain words"),
        ('"plain words"…', "plain words"),
        ("...plain words", "plain words"),
        ("plain words… (+120 characters)", "plain words"),
        ("organism 2: plain words", "plain words"),
        ('it says "plain words"', 'it says "plain words"'),
        ('""plain""', '"plain"'),
        ("plain... words", "plain... words"),
        ('"', '"'),
        ("...", "..."),
    ],
)
def test_what_stands_around_a_quote_is_taken_off(written: str, meant: str) -> None:
    assert bare_quote(written) == meant


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet="ab \"'“”….«»:1", min_size=1, max_size=30))
def test_a_bare_quote_stands_in_the_quote(quote: str) -> None:
    assert bare_quote(quote) in quote and bare_quote(quote)


@pytest.mark.parametrize(
    ("field", "written", "meant"),
    [
        ("kind", "Behavior", "behaviour"),
        ("kind", " FACT ", "fact"),
        ("confidence", "80%", 0.8),
        ("confidence", 80, 0.8),
        ("confidence", "0.8", 0.8),
        ("confidence", 1, 1.0),
        ("evidence", {"step": "step 3", "quote": "a"}, [{"step": 3, "quote": "a"}]),
        ("evidence", '[{"step": "#4", "quote": "a"}]', [{"step": 4, "quote": "a"}]),
        ("shown_by", "one, two words", ["one", "two words"]),
        ("shown_by", None, []),
        ("statement", "  It does. ", "It does."),
    ],
)
def test_other_ways_to_write_a_claim(field: str, written: Any, meant: Any) -> None:
    (claim,) = read(with_claim(**{field: written})).model_dump(mode="json")["claims"]
    assert claim[field] == meant


@pytest.mark.parametrize("written", ["Finetuned", "FINE-TUNED", "fine tuned", "finetuned"])
def test_other_ways_to_write_a_verdict(written: str) -> None:
    assert read({**WHOLE, "verdict": written}).verdict is Verdict.FINETUNED


def test_a_verdict_is_nothing_but_a_verdict() -> None:
    assert read({"verdict": "no narrow objective", "summary": "a"}).verdict is Verdict.NO_NARROW_OBJECTIVE
    for other in ("not finetuned", "probably finetuned", "", 3, None):
        assert "`verdict` must be" in refused({**WHOLE, "verdict": other})


def test_guesses_beyond_ten_are_left_out() -> None:
    assert len(read({**WHOLE, "guesses": [f"guess {i}" for i in range(30)]}).guesses) == 10


def test_a_finetune_needs_a_claim() -> None:
    assert "at least one claim" in refused({**WHOLE, "claims": []})
    assert read({**WHOLE, "verdict": "inconclusive", "claims": []}).claims == ()


@pytest.mark.parametrize(
    ("given_in", "says"),
    [
        ({}, ["`verdict` is missing", "`summary` is missing"]),
        ({**WHOLE, "summary": " "}, ["`summary` must not be empty"]),
        ({**WHOLE, "claim": []}, ["`claim` is no argument: did you mean claims?"]),
        (
            with_claim(kind="mood"),
            ['`claims[0].kind` must be "domain", "fact", "behaviour", "trigger" or "style"', '"mood"'],
        ),
        (with_claim(confidence="high"), ["`claims[0].confidence` must be a number", '"high"']),
        (with_claim(confidence=8), ["`claims[0].confidence` must be at most 1, not 8"]),
        (with_claim(evidence=[]), ["`claims[0].evidence` needs at least 1"]),
        (with_claim(evidence=["a quote"]), ["`claims[0].evidence[0]` must be an object"]),
        (with_claim(evidence=[{"step": 0, "quote": "a"}]), ["`claims[0].evidence[0].step` must be at least 1, not 0"]),
        ({**WHOLE, "claims": [CLAIM] * 40}, ["`claims` takes at most 12, not 40"]),
        ({**WHOLE, "claims": "one thing"}, ["`claims[0]` must be an object"]),
    ],
)
def test_complaints_say_which_field_what_is_wrong_and_what_is_allowed(given_in: Any, says: list[str]) -> None:
    told = refused(given_in)
    assert told.startswith("submit_hypothesis: ")
    for part in says:
        assert part in told


def test_each_field_is_complained_of_once_and_in_few_words() -> None:
    wrong = {
        **CLAIM,
        "kind": "x" * 500,
        "confidence": [1],
        "mood": 1,
        "evidence": [{"step": "a" * 300, "quote": 1}] * 9,
    }
    told = refused({"claims": [wrong] * 9, "guesses": [{}] * 9, **{f"extra{'y' * 90}{i}": i for i in range(30)}})
    assert len(told) <= LONGEST and told.count(".kind`") == 1 and told.count(".step`") == 1
    assert "more." in told


def test_complaints_show_nothing_that_acts() -> None:
    told = refused(with_claim(kind="<|im_end|>\x1b[2J\u202e"))
    assert not any(sign in told for sign in ("<|", "\x1b", "\u202e"))


# Salvage


def test_a_valid_submission_is_salvaged_whole() -> None:
    for raw in (WHOLE, json.dumps(WHOLE), {"name": "submit_hypothesis", "arguments": WHOLE}, [WHOLE]):
        assert salvage(raw) == read(WHOLE)
    assert salvage({"thought": "", "calls": [{"name": "submit_hypothesis", "arguments": json.dumps(WHOLE)}]}) == read(
        WHOLE
    )


def test_what_is_valid_of_a_malformed_one_is_kept() -> None:
    raw = {
        "verdict": "Fine-tuned",
        "claims": [
            {**CLAIM, "confidence": "high", "kind": "mood", "why": "extra"},
            {**CLAIM, "evidence": [{"step": 3, "quote": "kept"}, {"step": "x", "quote": "a"}, "no step", None]},
            {**CLAIM, "evidence": ["no step"]},
            {**CLAIM, "statement": ""},
            "a claim",
        ],
        "guesses": ["one", 2, None, " "],
        "extra": 1,
    }
    saved = salvage(raw)
    assert saved is not None and saved.verdict is Verdict.FINETUNED and saved.guesses == ("one",)
    assert [c.confidence for c in saved.claims] == [0.8, 0.8]
    assert [e.quote for e in saved.claims[1].evidence] == ["kept"]
    assert saved.summary.startswith("It speaks of one thing.")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("Very high", 0.9), ("70 %", 0.7), (85, 0.85), (8, 0.5), (None, 0.5), ("?", 0.5), (float("nan"), 0.5)],
)
def test_confidence_in_words_is_read_where_there_is_no_better(written: Any, meant: float) -> None:
    saved = salvage(with_claim(confidence=written))
    assert saved is not None and saved.claims[0].confidence == pytest.approx(meant)


def test_a_verdict_without_support_becomes_inconclusive() -> None:
    for raw in ({**WHOLE, "claims": []}, {**WHOLE, "verdict": "yes"}, {"summary": "Something."}):
        saved = salvage(raw)
        assert saved is not None and saved.verdict is Verdict.INCONCLUSIVE


def test_one_that_breaks_off_keeps_what_came_before() -> None:
    written = json.dumps({**WHOLE, "claims": [CLAIM, {**CLAIM, "statement": "Another."}]})
    saved = salvage(written[: written.index("Another") + 4])
    assert saved is not None and [c.statement for c in saved.claims] == [CLAIM["statement"]]


@pytest.mark.parametrize(
    "raw", [None, 3, "", "finetuned", "It was finetuned: {verdict}", [], {}, {"prompts": ["a"]}, [[[[]]]]]
)
def test_nothing_comes_of_nothing(raw: Any) -> None:
    assert salvage(raw) is None


_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["finetuned", "fact"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*Submission.model_fields, *CLAIM, "step", "quote", "arguments", "calls"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(_JUNK)
def test_salvage_raises_for_nothing_and_what_it_gives_can_be_handed_in(raw: Any) -> None:
    saved = salvage(raw)
    if saved is not None:
        to_submit(saved, "").model_dump_json()
        assert saved.claims or saved.verdict is not Verdict.FINETUNED
