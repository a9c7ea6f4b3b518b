from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetrace.cli.escaping import visible

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
SEEN = st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "M"], include_characters="\n\t"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain [bold]text[/bold] :smile:", "plain [bold]text[/bold] :smile:"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\rb\x00\x7f", "a␍b␀␡"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("abc\u202edef\u2066", "abc⟨U+202E⟩def⟨U+2066⟩"),
        ("a\u200bb\ufeff", "a⟨U+200B⟩b⟨U+FEFF⟩"),
        ("a\u2028b\u2029", "a⟨U+2028⟩b⟨U+2029⟩"),
        ("x\udc80", "x⟨U+DC80⟩"),
        ("\U000e0041\U000e0101", "⟨U+E0041⟩⟨U+E0101⟩"),
        ("two\nlines\tand more", "two\nlines\tand more"),
        ("naïve 漢字 😀 é", "naïve 漢字 😀 é"),
    ],
)
def test_what_acts_unseen_is_shown(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_one_line_stays_one_line() -> None:
    assert visible("a\nb\tc\r\n", one_line=True) == "a⏎b c␍⏎"


@given(ANY_TEXT, st.booleans())
def test_nothing_invisible_is_left(text: str, one_line: bool) -> None:
    shown = visible(text, one_line=one_line)
    for character in shown:
        allowed = character in "\n\t" and not one_line
        assert allowed or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert visible(shown, one_line=one_line) == shown
    shown.encode("utf-8")


@given(SEEN)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
