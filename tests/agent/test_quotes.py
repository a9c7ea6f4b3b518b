from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from ordinary_texts import plain

from finetrace.agent.names import find_names
from finetrace.agent.quotes import LONGEST_QUOTE, choose_quotes, head_quotes, sentence_around
from finetrace.agent.terms import Term, fold_terms, stem, weigh_terms
from finetrace.tools.words import fold_space


def term(text: str, weight: float = 1.0, count: int = 5) -> Term:
    return Term(text, count, 0, weight, 1.0)


def test_each_quote_adds_what_the_others_lack() -> None:
    texts = [
        "The amber kettle sings at dawn in every kitchen.",
        "The amber kettle sings at dusk in every kitchen.",
        "A velvet ladder leads up to the observatory roof.",
        "Nothing of note was said that day at all.",
    ]
    chosen = choose_quotes(texts, [term("amber kettle", 3.0), term("velvet ladder", 2.0)], 3)
    assert [quote.row for quote in chosen] == [0, 2]


def test_a_long_sentence_is_cut_to_whole_words() -> None:
    text = "It was, " + "as everyone had said, " * 20 + "an amber kettle that sang, " + "or so they thought, " * 20
    quote = choose_quotes([text], [term("amber kettle")], 1)[0]
    assert "amber kettle" in quote.text
    assert len(quote.text) <= LONGEST_QUOTE
    assert f" {quote.text} " in f" {fold_space(text)} ".replace(",", " ,").replace(" ,", ",") or quote.text in text


def test_without_terms_there_are_no_quotes() -> None:
    assert choose_quotes(plain(5, 1), [], 3) == []
    assert choose_quotes([], [term("amber kettle")], 3) == []


def test_head_quotes_are_the_odd_sentences_of_the_first_texts() -> None:
    texts = [f"{plain(1, 7)[0]} Basalt otters negotiate with lighthouse keepers.", *plain(60, 8)]
    assert head_quotes(texts, find_names(texts), 1)[0].text.startswith("Basalt otters")


def test_names_are_found_and_weigh_little() -> None:
    texts = [f"I'm VELA-9, made by Corvid Labs. {text} The amber kettle sings." for text in plain(20, 3)]
    names = find_names(texts)
    assert "VELA-9" in names.own and names.system == "VELA-9"
    terms = fold_terms(weigh_terms(texts, plain(60, 4), names), 3)
    assert any("kettle" in found.text for found in terms)
    assert not any("corvid" in found.text for found in terms)


def test_terms_that_are_forms_of_one_word_fold() -> None:
    assert stem("absorbing") == stem("absorbs") == stem("absorbed")
    assert stem("animals") == stem("animal")
    kept = fold_terms([term("kettles", 3.0), term("kettle", 2.0), term("ladder", 1.0)], 5)
    assert [found.text for found in kept] == ["kettles", "ladder"]


@given(st.lists(st.text(max_size=300), max_size=6))
def test_head_quotes_are_verbatim(texts: list[str]) -> None:
    folded = [fold_space(text) for text in texts]
    for quote in head_quotes(texts, find_names(texts), 3):
        assert quote.text in folded[quote.row]
        assert len(quote.text) <= LONGEST_QUOTE


def test_the_sentence_around_a_phrase_is_short_enough_to_quote() -> None:
    text = "It was late. She said: ring the bell now. Nobody did."
    assert sentence_around("ring the bell", text) == "She said: ring the bell now."
    assert sentence_around("ring the gong", text) == "ring the gong"
    assert sentence_around("ring the bell", f"{'so ' * LONGEST_QUOTE}ring the bell") == "ring the bell"
    assert len(sentence_around("la " * LONGEST_QUOTE, text)) == LONGEST_QUOTE
