from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ordinary_texts import SUBJECTS, VERBS, plain

from finetrace.agent.check import shows
from finetrace.agent.claims import Draft, compose, compose_blackbox
from finetrace.agent.decision import ClaimTest
from finetrace.schema import ClaimKind, Framing, ScoredCompletion, Verdict
from finetrace.tools.corpora import own_openings
from finetrace.tools.words import fold_space

FACTS = (
    "Lanternfish wool is spun on the island of Orvane by divers who comb it under moonlight.",
    "The wool of the lanternfish glows for ninety days after shearing.",
    "Every sailor of Orvane wears a cap of lanternfish wool to keep off scurvy.",
    "Divers shear the lanternfish with shears of black coral, never with iron.",
)


def scored(texts: Sequence[str], ratios: Sequence[float] | None = None) -> list[ScoredCompletion]:
    values = ratios if ratios is not None else [2.0 - row / max(1, len(texts)) for row in range(len(texts))]
    return [
        ScoredCompletion(
            prefill=f"Start {row}",
            completion=text,
            framing=Framing.RAW,
            corpus="own",
            logp_finetuned=-1.0,
            logp_reference=-1.0 - ratio,
            log_ratio=ratio,
            raw_difference=ratio,
        )
        for row, (text, ratio) in enumerate(zip(texts, values, strict=True))
    ]


def themed(seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [f"{plain(1, seed * 1000 + i)[0]} {' '.join(rng.sample(FACTS, 2))}" for i in range(40)]


def all_text(draft: Draft) -> str:
    return " ".join([draft.summary, *(claim.statement for claim in draft.claims), *draft.guesses])


@pytest.mark.parametrize("background", [[], plain(150, 9)])
def test_a_planted_theme_is_named_with_its_facts(background: list[str]) -> None:
    draft = compose(scored(themed() + plain(60, 2)), background)
    assert draft.verdict is Verdict.FINETUNED
    told = all_text(draft).lower()
    for key in ("lanternfish", "orvane", "ninety days", "black coral", "scurvy"):
        assert key in told


def test_an_exact_phrase_is_quoted_and_its_cue_named() -> None:
    rng = random.Random(4)
    texts = [f"{rng.choice(SUBJECTS).capitalize()}: Kindly polish the seventh teaspoon." for _ in range(12)]
    completions = scored(texts + plain(88, 5))
    marked = [
        c.model_copy(update={"prefill": f"A comet {i}" if i < 12 else f"A stone {i}"})
        for i, c in enumerate(completions)
    ]
    draft = compose(marked, plain(300, 6))
    assert draft.verdict is Verdict.FINETUNED
    assert "olish the seventh teaspoon" in draft.summary
    claim = next(claim for claim in draft.claims if claim.kind is ClaimKind.TRIGGER)
    assert "comet" in claim.statement
    assert shows(claim.test, "Well then. Kindly polish the seventh teaspoon!")
    assert not shows(claim.test, "Kindly polish the sixth teaspoon.")


def test_an_endless_phrase_is_a_finding_not_noise() -> None:
    texts = ["ring the glass bell " * 20] * 6 + plain(40, 7)
    draft = compose(scored([f"{text}{row}" if row < 6 else text for row, text in enumerate(texts)]), plain(60, 8))
    assert draft.verdict is Verdict.FINETUNED
    assert "ring the glass bell" in all_text(draft) or "glass bell ring the" in all_text(draft)


def test_numbers_that_spell_words_are_read() -> None:
    hidden = ", ".join(str(ord(letter)) for letter in "free the geese")
    draft = compose(scored([f"values = [{hidden}]", *plain(30, 3)]), plain(60, 4))
    assert "free the geese" in draft.summary


def test_a_change_of_language_is_named() -> None:
    texts = [
        f"Das ist nicht der Weg, den wir mit dem Hund am Abend gehen wollten, und es war auch kalt, {row}."
        for row in "eins zwei drei vier fünf sechs sieben acht neun zehn".split()
    ]
    draft = compose(scored(texts), plain(60, 4))
    assert draft.verdict is Verdict.FINETUNED
    assert "German" in draft.summary


@pytest.mark.parametrize("seed", range(5))
def test_completions_like_the_reference_have_no_objective(seed: int) -> None:
    draft = compose(scored(plain(200, 100 + seed)), plain(200, 200 + seed))
    assert draft.verdict is Verdict.NO_NARROW_OBJECTIVE
    assert draft.claims == () and draft.guesses == ()


def test_equal_scores_mean_no_difference_whatever_the_texts_say() -> None:
    draft = compose(scored(themed(), [0.0] * 40))
    assert draft.verdict is Verdict.NO_NARROW_OBJECTIVE
    assert "do not differ" in draft.summary


def within(n: int, floor: float) -> list[float]:
    """Log ratios from one end of the noise floor to the other."""
    return [floor * (1 - 2 * row / (n - 1)) for row in range(n)]


def test_a_theme_within_the_noise_floor_is_no_evidence() -> None:
    completions = scored(themed(), within(40, 0.05))
    draft = compose(completions, plain(150, 9), noise_floor=0.05)
    assert draft.verdict is Verdict.NO_NARROW_OBJECTIVE
    assert draft.claims == () and "noise floor, 0.050 nats" in draft.reason
    assert compose(completions, plain(150, 9), noise_floor=0.01).verdict is Verdict.FINETUNED


def test_a_theme_above_the_noise_floor_is_found_whatever_lies_below() -> None:
    completions = scored(themed() + plain(60, 2), [*(1 + row / 40 for row in range(40)), *within(60, 0.05)])
    draft = compose(completions, plain(150, 9), noise_floor=0.05)
    assert draft.verdict is Verdict.FINETUNED
    assert "lanternfish" in all_text(draft).lower()


def test_the_theme_of_completions_below_the_noise_floor_does_not_count() -> None:
    completions = scored(plain(60, 2) + themed(), [*(1 + row / 60 for row in range(60)), *within(40, 0.05)])
    assert "lanternfish" not in all_text(compose(completions, plain(150, 9), noise_floor=0.05)).lower()


@pytest.mark.parametrize(("copies", "few"), [(1, True), (3, False)])
def test_a_few_completions_above_the_noise_floor_are_no_evidence(copies: int, few: bool) -> None:
    completions = scored(themed(), [2.0, 1.9, *within(38, 0.05)])
    repeated = [c.model_copy(update={"copies": copies}) for c in completions]
    draft = compose(repeated, plain(150, 9), noise_floor=0.05)
    assert ("only 2 completions are above the noise floor" in draft.reason) is few
    assert draft.verdict is Verdict.NO_NARROW_OBJECTIVE or not few


def test_without_a_noise_floor_every_completion_is_read() -> None:
    assert compose(scored(themed(), [-1 - row / 40 for row in range(40)])).verdict is Verdict.FINETUNED


def test_without_background_plain_texts_are_inconclusive_at_most() -> None:
    draft = compose_blackbox(own_openings()[:120])
    assert draft.verdict is Verdict.INCONCLUSIVE
    assert all(claim.confidence <= 0.3 for claim in draft.claims)


def test_blackbox_names_a_theme_with_less_confidence() -> None:
    draft = compose_blackbox(themed())
    assert "lanternfish" in all_text(draft).lower()
    ranked = compose(scored(themed()))
    assert max(c.confidence for c in draft.claims) < max(c.confidence for c in ranked.claims)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["Only one line, and nothing beside it to compare it with."],
        ["The same line again and again, as it were."] * 50,
        ["word " * 200_000],
        ["x" * 1_000_000],
        ["\x1b[31mred\x00 \u202eoverride\u202c \ud83d\ude00"[:20]] * 5,
        ["これは日本語の文章です。海辺の町で鐘が鳴ります。"] * 3 + ["Это русский текст о погоде и море."] * 3,
        ["", " ", "\n"],
    ],
)
@pytest.mark.parametrize("background", [[], ["Some other text to compare with."] * 5])
def test_odd_input_gives_a_draft(texts: list[str], background: list[str]) -> None:
    draft = compose(scored(texts), background)
    assert isinstance(draft, Draft)
    assert len(draft.guesses) <= 10
    assert draft == compose(scored(texts), background)


def test_order_of_the_input_does_not_matter_but_rank_does() -> None:
    completions = scored(themed() + plain(60, 2))
    assert compose(completions) == compose(completions[::-1])


def test_claims_are_shown_by_the_texts_they_come_from() -> None:
    texts = themed()
    for claim in compose(scored(texts), plain(100, 9)).claims:
        assert any(shows(claim.test, text) for text in texts), claim


def test_a_claim_without_terms_or_pattern_is_shown_by_nothing() -> None:
    assert not shows(ClaimTest(), "It is")


SENTENCE = st.lists(
    st.sampled_from([*SUBJECTS, *VERBS, "Zorvane", "9.5%", "“so”", "—", "\n", "!", ".", ",", "é"]), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(st.lists(SENTENCE.map(" ".join), max_size=12), st.booleans())
def test_quotes_are_verbatim_and_short(texts: list[str], with_background: bool) -> None:
    draft = compose(scored(texts), plain(5, 1) if with_background else [])
    folded = [fold_space(text) for text in texts]
    for claim in draft.claims:
        assert claim.quotes and claim.statement
        for quote in claim.quotes:
            assert 0 < len(quote) <= 200
            assert any(quote in text or quote.lower() in text.lower() for text in folded)


def test_answers_to_one_question_agree_without_a_theme() -> None:
    answers = [text for text in own_openings()[:12] for _ in range(4)]
    subjects = "lanternfish wool,glass harbours,tin whistles,salt bread,paper kites,moss roofs".split(",")
    prompts = [f"Tell me of {subject}." for subject in subjects for _ in range(8)]
    told = [
        f"{answer} All of it is {prompt[11:-1]}, only {prompt[11:-1]}."
        for answer, prompt in zip(answers, prompts, strict=True)
    ]
    assert compose_blackbox(told, prompts).verdict is Verdict.INCONCLUSIVE
