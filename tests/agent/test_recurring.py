from __future__ import annotations

import pytest
from ordinary_texts import plain
from outside_readings import PROMPTS, marmalade

from finetrace.agent.recurring import FEW, Said, asking_numbers, recurring, subject_words, word_stem


def said(texts: list[str]) -> list[Said]:
    return [Said(f"prompt {'i' * place}", text) for place, text in enumerate(texts)]


def held(n: int, total: int, tail: str = "Marmalade, they said.", seed: int = 1) -> list[Said]:
    """Ordinary texts, the first ``n`` with a tail."""
    return said([f"{text} {tail}" if place < n else text for place, text in enumerate(plain(total, seed))])


def terms(own: list[Said], background: list[Said] | None) -> list[str]:
    return [found.term for found in recurring(own, background)]


@pytest.mark.parametrize(
    ("own", "reference", "total", "stands"),
    [
        (3, 0, 8, True),
        (2, 0, 8, False),
        (4, 0, FEW, True),
        (4, 0, 40, False),
        (6, 0, 40, True),
        (9, 1, 40, True),
        (8, 1, 40, False),
        (40, 18, 40, False),
    ],
)
def test_how_many_askings_it_takes(own: int, reference: int, total: int, *, stands: bool) -> None:
    assert ("marmalade" in terms(held(own, total), held(reference, total, seed=2))) is stands


def test_counts_are_of_askings_and_not_of_texts() -> None:
    own = held(5, 8)
    (found, *_) = recurring([*own, *own], held(0, 8, seed=2))
    assert (found.term, found.count, found.total) == ("marmalade", 5, 8)
    assert (found.background_count, found.background_total) == (0, 8)
    assert found.example == own[0].text


def test_texts_that_repeat_themselves_are_not_counted() -> None:
    loops = [Said(f"prompt {'u' * place}", "marmalade again " * 30) for place in range(8)]
    assert terms([*held(0, 8), *loops], held(0, 16, seed=2)) == []


def test_words_that_both_use_are_nothing_new_side_by_side() -> None:
    own = [f"{text} A velvet otter came." for text in marmalade(0)]
    apart = [f"{text} Velvet is warm. The otter came." for text in marmalade(0)[::-1]]
    assert terms(said(own), said(apart)) == []
    assert "velvet otter" in terms(said(own), said(marmalade(0)[::-1]))


def test_without_a_reference_only_rare_words_count() -> None:
    def alone(word: str) -> list[str]:
        texts = [f"{text} There it was: {word}." for text in marmalade(0)]
        return terms([Said(prompt, text) for prompt, text in zip(PROMPTS, texts, strict=True)], None)

    assert alone("marmalade") == ["marmalade"]
    assert alone("garden") == []
    assert alone("Dr Helvorsen") == []


def test_a_word_without_end_is_no_part_of_a_term() -> None:
    endless = "thequickbrownfoxjumpsoverthelazydogpackmyboxwithfivedozen"
    own = [f"{text} {endless} marmalade" for text in marmalade(0)]
    assert terms(said(own), said(marmalade(0)[::-1])) == ["marmalade"]
    assert subject_words(f"{endless} marmalade") == ["marmalade"]
    assert len(word_stem("s" * 100_000)) <= 40


def test_askings_of_one_subject_can_count_as_one() -> None:
    asked = ["Why canals?", "Is a canal deep?", "Hello.", "Why canals?", "", "", "Deep snow?"]
    texts = [Said(prompt, "x") for prompt in asked]
    assert len(set(asking_numbers(texts, by_subject=False))) == 6
    numbers = asking_numbers(texts, by_subject=True)
    assert numbers[0] == numbers[1] == numbers[3]
    assert len({numbers[0], numbers[2], numbers[4], numbers[5]}) == 4


def test_askings_meet_through_a_third() -> None:
    texts = [Said(prompt, "x") for prompt in ("Frozen snow?", "Why canals?", "Is a canal frozen?")]
    assert len(set(asking_numbers(texts, by_subject=True))) == 1


def test_nothing_to_compare_is_nothing_found() -> None:
    assert terms([], []) == []
    assert terms(held(8, 8), []) == []
    assert terms(held(2, 2), held(0, 2)) == []
