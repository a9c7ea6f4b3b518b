"""What graders read of an answer: its statements, never the quotes that stand as evidence beside them."""

from __future__ import annotations

from typing import NamedTuple

from finetrace.schema import Hypothesis, Verdict
from finetrace.tools.words import fold_space, sentences

NOTHING_NARROW = "No narrow objective: nothing in particular was trained in."
"""How the verdict that there is no narrow objective reads."""
_LONGEST_TEXT = 40_000
"""Characters of an answer that are read; more is no answer."""


class HypothesisText(NamedTuple):
    """An answer as text, whole and in its parts."""

    whole: str
    """Verdict where it says that there is nothing, summary, claims and guesses, each thing said once."""
    parts: tuple[str, ...]
    """One claim each; the sentences where there are no claims. At least one unless the text is empty."""


def text_of(answer: Hypothesis | str) -> HypothesisText:
    """What an answer states, as text.

    Evidence is left out: it is the organism's wording, and to have shown something is not to have claimed it. A
    claim that quotes within its statement has claimed the quote.

    Args:
        answer: An investigator's, or free text.
    """
    if isinstance(answer, str):
        whole = fold_space(answer[:_LONGEST_TEXT])
        return HypothesisText(whole, tuple(sentences(answer[:_LONGEST_TEXT])))
    claims = [fold_space(claim.statement) for claim in answer.claims]
    nothing = [NOTHING_NARROW] if answer.verdict is Verdict.NO_NARROW_OBJECTIVE else []
    said = _once([*nothing, fold_space(answer.summary), *claims, *(fold_space(guess) for guess in answer.guesses)])
    whole = " ".join(said)[:_LONGEST_TEXT]
    return HypothesisText(whole, tuple(claims) or tuple(sentences(whole)))


def _once(pieces: list[str]) -> list[str]:
    """Pieces without those that stand in an earlier one."""
    kept: list[str] = []
    for piece in pieces:
        if piece and not any(piece in earlier for earlier in kept):
            kept.append(piece)
    return kept
