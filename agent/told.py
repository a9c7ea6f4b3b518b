"""What the organism tells of a lead that the reference does not."""

from __future__ import annotations

from collections.abc import Sequence

from finetrace.agent.names import find_names
from finetrace.agent.strength import Theme
from finetrace.agent.terms import is_telling, stem
from finetrace.tools.phrases import count_phrases

SIGNIFICANT = 0.05
"""Bound of the exact test's p, times the number of phrases that were looked at."""
_LEAST = 4


def told_of_leads(leads: Sequence[str], answers: Sequence[str], background: Sequence[str]) -> Theme | None:
    """A phrase about a lead that recurs in the organism's answers and not in the reference's to the same prompts.

    The leads come from activations, so only phrases that hold one of them are looked at: there are few, and few answers
    suffice.

    Returns:
        The phrase as a theme, with its share of the answers; ``None`` where none is significant.
    """
    from scipy.stats import fisher_exact

    wanted = {stem(lead) for lead in leads}
    names = find_names(answers)
    found = [
        phrase
        for phrase in count_phrases(answers, background, max_words=3, min_count=_LEAST)
        if len(parts := phrase.text.split()) > 1
        and wanted & {stem(part) for part in parts}
        and any(is_telling(part, names) for part in parts if stem(part) not in wanted)
    ]
    if not found:
        return None

    def p_value(count: int, other: int) -> float:
        table = [[count, len(answers) - count], [other, len(background) - other]]
        return float(fisher_exact(table, alternative="greater").pvalue)

    judged = sorted((p_value(p.count, p.background_count), -len(p.text), p.text, p) for p in found)
    p, _, _, best = judged[0]
    if p * len(found) >= SIGNIFICANT:
        return None
    share, expected = best.count / len(answers), best.background_count / max(1, len(background))
    return Theme(cover=share, expected=expected, covered=best.count, terms=(best.text,), asked_about=tuple(leads))
