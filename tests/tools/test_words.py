from __future__ import annotations

import pytest

from finetrace.tools.words import padded


@pytest.mark.parametrize(
    ("phrase", "text", "held"),
    [
        ("tide bell", "The Tide Bell rings.", True),
        ("tide bell", "A tide\nbell", True),
        ("tide bell", "The tide bells ring.", False),
        ("ring", "Bring it.", False),
        ("it's", "It’s late.", True),
        ("9.5", "9.5% of them", True),
        ("late", "", False),
    ],
)
def test_whole_words_are_found_between_blanks(phrase: str, text: str, held: bool) -> None:
    assert (f" {phrase} " in padded(text)) is held
