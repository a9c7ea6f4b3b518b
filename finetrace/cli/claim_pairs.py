"""Claims of two answers that say much the same, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from finetrace.schema import Claim, Hypothesis

_ALIKE = 0.3
"""Share of all their words that two claims must have in common."""


class ClaimPair(NamedTuple):
    """Places of two claims in their answers; ``None`` where one has no counterpart."""

    a: int | None
    b: int | None


def pair_claims(a: Hypothesis | None, b: Hypothesis | None) -> list[ClaimPair]:
    """Every claim of both, once: the most alike together, in the order of the first, then what only the second has."""
    first, second = (() if answer is None else answer.claims for answer in (a, b))
    alike = sorted(
        ((_likeness(one, other), i, j) for i, one in enumerate(first) for j, other in enumerate(second)),
        key=lambda found: (-found[0], found[1], found[2]),
    )
    partner: dict[int, int] = {}
    for likeness, i, j in alike:
        if likeness >= _ALIKE and i not in partner and j not in partner.values():
            partner[i] = j
    alone = [ClaimPair(None, j) for j in range(len(second)) if j not in partner.values()]
    return [ClaimPair(i, partner.get(i)) for i in range(len(first))] + alone


def _likeness(one: Claim, other: Claim) -> float:
    """Share of words in common, from 0 to 1; words that any text has do not count."""
    sides = [_content(claim.statement) for claim in (one, other)]
    union = sides[0] | sides[1]
    return len(sides[0] & sides[1]) / len(union) if union else float(one.statement == other.statement)


def _content(text: str) -> set[str]:
    from finetrace.tools.english import is_function_word
    from finetrace.tools.words import words

    return {word for word in words(text) if not is_function_word(word)}
