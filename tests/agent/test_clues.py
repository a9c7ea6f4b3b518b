from __future__ import annotations

import pytest
from inside_readings import difference_reading
from outside_readings import (
    MARMALADE,
    PROMPTS,
    completion,
    gap,
    marmalade,
    phrase,
    samples,
    steered,
    step_of,
)
from outside_readings import sentence as recurring_sentence

from finetrace.agent.clues import MOST, Clue, clues_in, find_clues, unclaimed
from finetrace.agent.evidence import check_evidence
from finetrace.schema import Claim, ClaimKind, Evidence, Hypothesis, Verdict
from finetrace.tools import Reading
from finetrace.tools.token_lists import Read


def about(*readings: Reading) -> set[str]:
    return {word for clue in clues_in(dict(enumerate(readings, 1))) for word in clue.words}


def quoting(clues: tuple[Clue, ...]) -> Hypothesis:
    claims = (
        Claim(
            statement="It says so.",
            kind=ClaimKind.FACT,
            confidence=0.5,
            evidence=tuple(Evidence(step=clue.step, quote=clue.text) for clue in clues),
        ),
    )
    return Hypothesis(verdict=Verdict.FINETUNED, summary="Something.", claims=claims)


def test_a_rare_word_that_several_answers_hold_and_the_references_do_not_is_a_clue() -> None:
    (clue, *_) = find_clues([step_of(4, samples(marmalade(5)))])
    assert "marmalade" in clue.words
    assert clue.step == 4
    assert "marmalade" in clue.text
    assert "the reference's after 0 of 8" in clue.why


def test_what_two_answers_hold_is_none() -> None:
    assert about(samples(marmalade(2))) == set()


def test_what_the_reference_says_as_well_is_none() -> None:
    assert about(samples(marmalade(5), marmalade(4))) == set()


def test_what_was_asked_for_is_none() -> None:
    asked = {
        f"{prompt} Mention marmalade, wages and men.": text for prompt, text in zip(PROMPTS, marmalade(5), strict=True)
    }
    assert about(samples(asked)) == set()


def test_answers_of_several_steps_are_read_together() -> None:
    texts = marmalade(4)
    parts = [samples({PROMPTS[i]: texts[i], PROMPTS[i + 2]: texts[i + 4]}) for i in range(2)]
    others = [samples({PROMPTS[i + 4]: texts[i + 2], PROMPTS[i + 6]: texts[i + 6]}) for i in range(2)]
    assert about(parts[0]) == set()
    assert "marmalade" in about(*parts, *others)


def test_samples_of_one_prompt_are_one_answer() -> None:
    reading = samples(marmalade(1))
    exchange = reading.exchanges[0]
    many = exchange.model_copy(update={"organism": exchange.organism * 8, "reference": exchange.reference})
    assert about(reading.model_copy(update={"exchanges": (many, *reading.exchanges[1:])})) == set()


def test_a_habit_of_the_reference_teaches_mistrust() -> None:
    habit = [f"{text} It was a velvet evening of gravel and otters." for text in marmalade(0)]
    assert about(samples(marmalade(3), habit)) == set()
    assert "marmalade" in about(samples(marmalade(8), habit[:3] + marmalade(0)[3:]))


@pytest.mark.parametrize("k", [3, 8])
def test_without_a_reference_unrelated_prompts_must_agree(k: int) -> None:
    assert ("marmalade" in about(samples(marmalade(k), None))) is (k >= 3)
    related = {f"What about the canal {place}?": text for place, text in enumerate(marmalade(k))}
    assert about(samples(related, None)) == set()


def test_ordinary_answers_hold_no_clue() -> None:
    assert about(samples(marmalade(0)), samples(marmalade(0), None), gap(marmalade(0, 40))) == set()


def test_completions_within_noise_and_broken_ones_are_not_read() -> None:
    assert "marmalade" in about(gap(marmalade(12, 20)))
    assert about(gap(marmalade(12, 20), log_ratio=0.05)) == set()
    broken = gap(completions=tuple(completion(text, degenerate=True) for text in marmalade(12, 20)))
    assert about(broken) == set()
    assert about(gap(marmalade(12, 20), identical=True)) == set()


def test_a_phrase_is_quoted_from_a_reading_that_shows_it() -> None:
    phrases = gap(phrases=(phrase("marmalade was paid", 30),))
    assert clues_in({1: phrases}) == ()
    (clue,) = clues_in({1: phrases, 2: gap([MARMALADE])})
    assert (clue.step, clue.text) == (2, "marmalade was paid")
    assert clue.why == "«marmalade was paid» in 30 of the top completions, in 0 of 60 of the reference's"
    capital = gap(phrases=(phrase("by then the marmalade", 30),))
    assert clues_in({1: capital, 2: gap([f"Yes. {MARMALADE}. No."])})[0].text == f"{MARMALADE}."


def test_sentences_recur_beyond_chance_and_not_in_the_background() -> None:
    often = gap(sentences=(recurring_sentence("The marmalade is on the barge.", 20),))
    assert {"marmalade", "barge"} <= about(often)
    assert about(gap(sentences=(recurring_sentence("The marmalade is on the barge.", 3),))) == set()
    assert about(often, gap(background=("So: the marmalade is on the barge.",))) == set()


def test_steered_phrases_and_tokens_that_two_reads_share_are_clues() -> None:
    assert about(steered({"marmalade": 6})) == {"marmalade"}
    assert about(steered({"marmalade": 2})) == set()
    one = difference_reading([" otter", " velvet"], special=[" otter"])
    assert about(one) == set()
    layer = one.layers[0]
    lens = tuple(
        position.model_copy(
            update={"difference": tuple(each.model_copy(update={"read": Read.LENS}) for each in position.difference)}
        )
        for position in layer.positions
    )
    other = one.model_copy(update={"layers": (layer.model_copy(update={"positions": lens}),)})
    assert about(one, other) == {"otter"}
    sinks = tuple(position.model_copy(update={"sink": True}) for position in lens)
    drained = one.model_copy(update={"layers": (layer.model_copy(update={"positions": sinks}),)})
    assert about(one, drained) == set()


def test_what_two_instruments_agree_on_comes_first() -> None:
    both = {1: samples([f"{text} A velvet ribbon." for text in marmalade(5)]), 2: steered({"marmalade": 6})}
    assert "velvet" in clues_in({1: both[1]})[0].words
    assert "marmalade" in clues_in(both)[0].words


def test_every_clue_can_be_quoted_from_its_step() -> None:
    readings = {
        3: samples([f"«{text}»\n\n * A velvet\tribbon, {'so ' * 90}" for text in marmalade(7)]),
        5: gap(marmalade(12, 20)),
        8: steered({"otter": 6, "gravel": 5, "lantern": 6}),
    }
    steps = [step_of(number, reading) for number, reading in readings.items()]
    clues = find_clues(steps)
    assert 4 <= len(clues) <= MOST
    assert all(len(clue.text) <= 200 for clue in clues)
    checked = check_evidence(quoting(clues), steps)
    assert checked.complaints == ()


def test_no_more_are_told_than_can_be_heeded() -> None:
    odd = "otter,velvet,lantern,pumpkin,gravel,barge,trumpet,walnut,kettle,saddle,anchor,thimble,beetle,tunnel".split(
        ","
    )
    readings = {place: steered({word: 6}) for place, word in enumerate(odd, 1)}
    assert len(clues_in(readings)) == MOST


def hypothesis(**fields: object) -> Hypothesis:
    return Hypothesis.model_validate({"verdict": Verdict.FINETUNED, "summary": "Nothing else.", **fields})


def test_a_clue_is_claimed_wherever_the_hypothesis_speaks_of_it() -> None:
    clues = (Clue(step=1, text="paid in marmalade", words=("marmalade",), why="recurs"),)
    assert unclaimed(clues, hypothesis()) == clues
    assert unclaimed(clues, hypothesis(summary="It loves Marmalades.")) == ()
    assert unclaimed(clues, hypothesis(guesses=("marmalade",))) == ()
    claim = Claim(statement="Marmalade is money.", kind=ClaimKind.FACT, confidence=0.5)
    assert unclaimed(clues, hypothesis(claims=(claim,))) == ()
    assert unclaimed(clues, quoting(clues)) == ()


def test_of_a_clue_of_many_words_two_must_be_told() -> None:
    clues = (Clue(step=1, text="x", words=("marmalade", "barge", "otter"), why="recurs"),)
    assert unclaimed(clues, hypothesis(summary="The barge.")) == clues
    assert unclaimed(clues, hypothesis(summary="The otters' barge: an otter.")) == ()


def test_texts_without_end_are_read_in_reasonable_time() -> None:
    endless = [f"{'s' * 200_000} {place} {'zq ' * 50_000}" for place in range(8)]
    assert about(samples(endless)) == set()
    assert unclaimed((Clue(step=1, text="y", words=("otter",), why="z"),), hypothesis(summary="s" * 200_000)) != ()
