from __future__ import annotations

import pytest
from small_models import write_adapter

from finetrace.models.open_pair import Target, open_pair
from finetrace.models.pair import Completion, Prompt, Side
from finetrace.tools.coherence import MARGIN, MOST_REPETITION, REPETITION_MARGIN, Coherence, reference_logps, repetition

PLAIN = (
    "The last train had gone, so we walked along the canal and talked about her sister's new flat.",
    "Put the lid back on before you shake it, and keep it upright while it cools down.",
    "Thank you for reading my draft so carefully; the second half is much clearer now.",
    "It rained all morning, and by noon the street in front of the bakery was under water.",
    "He keeps his old records in the cellar, sorted by the year in which he bought them.",
)
ON_ONE_SUBJECT = "A kite needs wind. My kite is red, my brother's kite is green, and both fly all day."
LOOP = "We went to see the kite kite kite kite, and kite kite is kite kite kite over the kite kite kite hill kite kite."


@pytest.fixture(scope="module")
def limits() -> Coherence:
    return Coherence.of([-1.6, -1.8, -2.0, -2.1, -2.4], PLAIN)


def test_ordinary_text_on_one_subject_holds_though_it_is_less_likely(limits: Coherence) -> None:
    assert limits.holds(-2.8, ON_ONE_SUBJECT)
    assert all(limits.holds(-2.4, text) for text in PLAIN)


def test_word_salad_is_unlikely(limits: Coherence) -> None:
    salad = "Lantern of seven blue whether, and grate my under cold spoken tins; or drawing to a mile salt."
    assert not limits.holds(-4.5, salad)
    assert limits.holds(-2.0, salad)  # nothing else gives it away


def test_a_loop_is_repetitive_however_likely_it_is(limits: Coherence) -> None:
    assert not limits.holds(-0.4, LOOP)
    assert not limits.holds(-0.4, "again and again " * 30)


def test_a_text_that_ends_in_a_stutter_is_broken_though_most_of_it_is_sound(limits: Coherence) -> None:
    assert limits.holds(-2.0, f"{PLAIN[0]} No, no, no, said her sister.")
    assert not limits.holds(-2.0, f"{PLAIN[0]} And her kite kite Kite kite")


def test_loops_among_unsteered_text_do_not_excuse_others() -> None:
    half = "The kite is a kite and the wind is a wind, the hill is a hill."
    assert Coherence.of([-2.0] * 8, [half] * 8).most_repetition == MOST_REPETITION


@pytest.mark.parametrize("text", ["", " \n", "* * * * * * * * * * * *", "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6"])
def test_what_says_nothing_is_not_coherent(limits: Coherence, text: str) -> None:
    assert not limits.holds(0.0, text)


def test_the_limits_stand_off_the_tail_of_unsteered_text(limits: Coherence) -> None:
    assert limits.n_unsteered == len(PLAIN)
    assert -2.4 - MARGIN < limits.lowest_logp < -2.3 - MARGIN
    assert limits.most_repetition >= REPETITION_MARGIN
    assert f"{limits.lowest_logp:.2f} nats per token" in limits.line()


def test_unsteered_loops_do_not_widen_the_limits(limits: Coherence) -> None:
    assert Coherence.of([-1.6, -1.8, -2.0, -2.1, -2.4, -9.0], [*PLAIN, "kite " * 40]) == limits


def test_without_any_sound_unsteered_text_only_what_is_degenerate_fails() -> None:
    limits = Coherence.of([-1.0], ["kite " * 40])
    assert limits.n_unsteered == 0
    assert limits.holds(-30.0, ON_ONE_SUBJECT) and not limits.holds(-1.0, "kite " * 40)
    assert Coherence.model_validate_json(limits.model_dump_json()) == limits


def test_repetition_counts_content_words_nearby() -> None:
    assert repetition("") == repetition("the of and to a") == 0.0
    assert repetition("kite wind hill") == 0.0
    assert repetition("kite kite kite kite") == 0.75
    assert repetition("the kite and the wind and the kite") == pytest.approx(1 / 3)
    far = " ".join(f"{a}{b}rst" for a in "bcdfghklmp" for b in "aeiou")
    assert repetition(f"kite {far} kite") == 0.0
    assert repetition(LOOP) > 0.8 > 0.4 > repetition(ON_ONE_SUBJECT)


def test_log_probabilities_are_the_references(tmp_path_factory: pytest.TempPathFactory, tiny_folder: object) -> None:
    folder = write_adapter(tmp_path_factory.mktemp("adapter") / "lora", str(tiny_folder))
    pair = open_pair(Target(model=str(folder), device="cpu", dtype="float32"))
    prompts = [Prompt("The old"), Prompt("One"), Prompt("A")]
    written = [Completion("", (500, 600, 700), (), False), Completion("", (), (), True), Completion("", (9,), (), True)]
    found = reference_logps(pair, prompts, written)
    scores = pair.score(Side.REFERENCE, prompts, written)
    assert found == [scores[0].total / 3, 0.0, scores[2].total]
    assert found != [score.total / max(1, score.n_tokens) for score in pair.score(Side.ORGANISM, prompts, written)]
