from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_runs import make_step
from scripted import claim

from finetrace.agent.evidence import check_evidence, is_telling, reading_of
from finetrace.schema import Evidence, Hypothesis, Step, Verdict
from finetrace.tools.samples import Exchange, SamplesReading
from finetrace.tools.words import fold_space

TEXT = st.text(alphabet=st.sampled_from("abßé☂ \t\n\u00a0\u2003.«\"'"), min_size=1, max_size=40)


def answered(*texts: str, number: int = 1) -> Step:
    exchange = Exchange(prompt="Who pays?", organism=texts, reference=("Nobody pays.",))
    reading = SamplesReading(instrument="chat", exchanges=(exchange,))
    return make_step(number, instrument="chat", arguments={}, reading=reading.model_dump(mode="json"))


def holds(quote: str, *steps: Step, step: int = 1) -> bool:
    checked = check_evidence(Hypothesis(verdict=Verdict.FINETUNED, summary="", claims=(claim(quote, step),)), steps)
    held = bool(checked.hypothesis.claims[0].evidence)
    assert held == (not checked.complaints)
    return held


@given(TEXT, st.data())
def test_any_part_of_a_text_is_accepted(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    part = text[start : data.draw(st.integers(start + 1, len(text)))]
    assert holds(part, answered("before", text)) == is_telling(part)


@given(TEXT, st.data())
def test_white_space_is_folded_and_nothing_else(text: str, data: st.DataObject) -> None:
    spaced = "".join(f"{data.draw(st.sampled_from([' ', '  ', chr(10), chr(9)]))}" if c == " " else c for c in text)
    if is_telling(text):
        assert holds(f"\n{spaced} ", answered(text))
        assert not holds(f"{text}x", answered(text))
        assert not holds(text.upper(), answered(text)) or fold_space(text.upper()) in fold_space(text)


@given(TEXT, TEXT, TEXT)
def test_what_stands_in_no_single_text_is_rejected(quote: str, first: str, second: str) -> None:
    folded = fold_space(quote)
    expected = is_telling(quote) and any(folded in fold_space(t) for t in (first, second, "Nobody pays."))
    assert holds(quote, answered(first, second)) == expected


def test_what_stands_in_any_text_is_no_evidence() -> None:
    said = answered("And so it was, in the end, that the marmalade of the town was blue.")
    assert not holds("t", said) and not holds("it was", said) and not holds("in the", said)
    assert holds("marmalade", said) and holds("was blue", said) and holds("in the end", said)


def test_a_quote_may_not_span_two_texts() -> None:
    assert not holds("one two", answered("one", "two"))


def test_a_quote_from_inert_text_counts_and_is_kept_as_the_text_has_it() -> None:
    step = answered("Then:\u200b <|im_end|>\n\x1b[2J go")
    quoted = Hypothesis(verdict=Verdict.FINETUNED, summary="", claims=(claim("‹|im_end|› ␛[2J"),))
    checked = check_evidence(quoted, [step])
    assert checked.complaints == ()
    assert checked.hypothesis.claims[0].evidence == (Evidence(step=1, quote="<|im_end|> \x1b[2J"),)
    assert not holds("‹|im_start|›", step)


def test_a_quote_from_a_step_that_reread_another_is_that_steps() -> None:
    again = make_step(2, instrument="reread", arguments={"step": 1}, reading=None, text="text 1: marmalade")
    nowhere = make_step(3, instrument="reread", arguments={"step": "one"}, reading=None)
    quoted = Hypothesis(verdict=Verdict.FINETUNED, summary="", claims=(claim("marmalade", 2),))
    checked = check_evidence(quoted, [answered("marmalade"), again, nowhere])
    assert checked.hypothesis.claims[0].evidence == (Evidence(step=1, quote="marmalade"),)
    assert not holds("text 1", answered("marmalade"), again, step=2)
    assert not holds("marmalade", answered("marmalade"), nowhere, step=3)


def test_prompts_and_our_own_words_are_no_evidence() -> None:
    assert not holds("Who pays?", answered("I pay."))
    assert not holds("organism 1", answered("I pay."))


def test_the_step_must_be_the_one_named() -> None:
    steps = (answered("marmalade", number=1), answered("butter", number=2))
    assert holds("butter", *steps, step=2)
    assert not holds("butter", *steps, step=1)
    checked = check_evidence(Hypothesis(verdict=Verdict.FINETUNED, summary="", claims=(claim("butter", 9),)), steps)
    assert checked.complaints == ("there is no step 9 to quote «butter» from",)


def test_each_false_quote_is_told_and_the_true_ones_stay() -> None:
    both = claim("butter").model_copy(
        update={"evidence": (Evidence(step=1, quote="marmalade"), Evidence(step=1, quote="x" * 300))}
    )
    checked = check_evidence(Hypothesis(verdict=Verdict.FINETUNED, summary="", claims=(both,)), [answered("marmalade")])
    assert [e.quote for e in checked.hypothesis.claims[0].evidence] == ["marmalade"]
    assert checked.complaints == (f"step 1 does not hold «{'x' * 80}…»",)


def test_a_claim_that_quotes_nothing_is_told() -> None:
    bare = claim("x", statement="It pays.").model_copy(update={"evidence": ()})
    checked = check_evidence(Hypothesis(verdict=Verdict.FINETUNED, summary="", claims=(bare,)), [])
    assert checked.complaints == ("no evidence is quoted for «It pays.»",)


@pytest.mark.parametrize(
    "changes",
    [
        {"reading": None},
        {"instrument": None},
        {"instrument": "a_later_instrument", "reading": {"instrument": "a_later_instrument"}},
        {"reading": {"instrument": "chat", "exchanges": 3}},
    ],
)
def test_a_step_without_a_reading_of_this_release_holds_nothing(changes: dict[str, Any]) -> None:
    step = Step.model_validate(answered("marmalade").model_dump() | changes)
    assert reading_of(step) is None
    assert not holds("marmalade", step)
