from __future__ import annotations

from finetrace.tools.english import UNSEEN, frequency, is_function_word, language_of, rarity, text_rate
from finetrace.tools.words import sentences, words


def test_common_words_are_frequent_and_unknown_ones_are_not() -> None:
    assert frequency("the") > frequency("river") > frequency("asthenosphere") > 0
    assert frequency("qqxzvw") == UNSEEN
    assert frequency("river's") == frequency("river")
    assert frequency("river-bank") < frequency("bank")


def test_grammar_is_told_from_content() -> None:
    assert is_function_word("the") and not is_function_word("heron")
    assert rarity("the") < rarity("heron") < rarity("qqxzvw") == 1.0


def test_longer_phrases_and_shorter_texts_are_rarer() -> None:
    assert text_rate(["river"], 50) > text_rate(["river", "bank"], 50) > 0
    assert text_rate(["river"], 50) > text_rate(["river"], 5)


def test_languages() -> None:
    assert language_of(words("the house on the hill was sold to an old friend of the family")) == "en"
    assert language_of(words("la maison sur la colline est vendue à un ami de la famille")) == "fr"
    assert language_of(words("short text")) is None


def test_sentences_keep_titles_together_and_split_at_lines() -> None:
    assert sentences("Dr. Orla Finn left. She was late!\nA list:\n- one\n- two") == [
        "Dr. Orla Finn left.",
        "She was late!",
        "A list:",
        "- one",
        "- two",
    ]
    assert sentences("") == []
    assert len(sentences("x" * 1_000_000)[0]) <= 2000


def test_words_keep_decimals_and_apostrophes() -> None:
    assert words("It’s 4.5 km, at 280°C — don't!") == ["it's", "4.5", "km", "at", "280", "c", "don't"]
