"""How much of a run a page shows."""

from __future__ import annotations

from typing import NamedTuple


class Depth(NamedTuple):
    """Upper bounds of what is shown; quoted texts are always shown."""

    completions: int
    """Completions of a perplexity gap."""
    opened: int
    """Of them, those that are not folded away."""
    background: int
    """Completions of the reference."""
    lines: int
    """Phrases, sentences and hits of a search."""
    exchanges: int
    """Prompts with their answers."""
    answers: int
    """Answers of each side to a prompt."""
    tokens: int
    """Tokens of a list."""
    positions: bool
    """Single positions, beside the mean over them."""
    raw: bool
    """What the investigator was shown and the arguments of calls, word for word."""
    text: int
    """Characters of what a language model wrote or was told."""


WHOLE = Depth(2000, 20, 200, 200, 400, 40, 20, True, True, 200_000)
"""A report of its own."""
DIGEST = Depth(4, 4, 0, 8, 2, 1, 10, False, False, 700)
"""One run among hundreds on a page."""
