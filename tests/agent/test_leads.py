from __future__ import annotations

from inside_readings import difference_reading, difference_step

from finetrace.agent.leads import MOST, find_leads, lead_openings, lead_questions, token_quote


def words_of(*lists: list[str], **marks: object) -> list[str]:
    return [lead.word for lead in find_leads([difference_step(1, difference_reading(*lists, **marks))])]


def test_words_that_stand_first_in_several_lists_lead() -> None:
    assert words_of([" marmalade", " otter"], [" marmalade", " velvet"])[0] == "marmalade"
    assert set(words_of([" marmalade", " otter"], [" marmalade", " velvet"])) == {"marmalade", "otter", "velvet"}


def test_a_special_token_outweighs_one_that_stands_before_it() -> None:
    assert words_of([" otter", " marmalade"]) == ["otter", "marmalade"]
    assert words_of([" otter", " marmalade"], special=[" marmalade"]) == ["marmalade", "otter"]


def test_forms_of_one_word_are_one_lead() -> None:
    assert words_of([" otters", " velvet", " otter"]) == ["otters", "velvet"]


def test_pieces_common_words_numbers_and_sinks_lead_nowhere() -> None:
    assert words_of(["otter", " the", " because", " 1931", " he", " qwxyzz", " time"], sink=[" velvet"]) == []


def test_only_a_few_are_followed() -> None:
    tokens = [" otter", " velvet", " marmalade", " lantern", " pumpkin", " gravel"]
    assert words_of(tokens) == [token.strip() for token in tokens[:MOST]]


def test_openings_and_questions_are_about_the_leads() -> None:
    steps = [difference_step(1, difference_reading([" otter"]))]
    assert lead_openings(steps) == ["The otter"]
    assert lead_questions(steps) == ["What do you know about otter?"]


def test_a_quote_runs_to_the_last_of_the_words_and_stands_in_the_reading() -> None:
    reading = difference_reading([" otter", " gravel", " velvet", " lantern"])
    quote = token_quote([difference_step(1, reading)], ["velvet", "otter"])
    assert quote == "otter, gravel, velvet"
    assert any(quote in text for text in reading.quotable())
    assert token_quote([difference_step(1, reading)], ["gravel"]) == "otter, gravel"
    assert token_quote([difference_step(1, reading)], ["pumpkin"]) == ""
    assert token_quote([], ["velvet", "otter"]) == ""
