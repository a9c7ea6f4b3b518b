"""What the organism tells of leads, asked and unasked, that the reference does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from finetrace.agent.names import find_names
from finetrace.agent.strength import Theme
from finetrace.agent.terms import is_telling, stem
from finetrace.tools.phrases import count_phrases
from finetrace.tools.words import words

SIGNIFICANT = 0.05
"""Bound of the exact test's p, times the number of phrases that were looked at."""
UNASKED = 0.01
"""Bound of the exact test's p for leads that come up unasked."""
_LEAST = 4


def told_of_leads(leads: Sequence[str], answers: Sequence[str], background: Sequence[str]) -> Theme | None:
    """A phrase about a lead that recurs in the organism's answers and not in the reference's to the same prompts.

    The leads come from activations, so only phrases that hold one of them are looked at: there are few, and few answers
    suffice.

    Returns:
        The phrase as a theme, with its share of the answers; ``None`` where none is significant.
    """
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

    n, m = len(answers), len(background)
    judged = sorted((_p_value(p.count, n, p.background_count, m), -len(p.text), p.text, p) for p in found)
    p, _, _, best = judged[0]
    if p * len(found) >= SIGNIFICANT:
        return None
    share, expected = best.count / len(answers), best.background_count / max(1, len(background))
    return Theme(cover=share, expected=expected, covered=best.count, terms=(best.text,), asked_about=tuple(leads))


def leads_unasked(leads: Sequence[str], answers: Sequence[str], background: Sequence[str]) -> Theme | None:
    """Leads that come up in the organism's answers to neutral prompts, and not in the reference's.

    Returns:
        The leads in the forms they take as a theme; ``None`` where they come up no more often than in the reference's.
    """
    wanted = {stem(lead) for lead in leads}
    own, other = ([{w for w in words(text) if stem(w) in wanted} for text in texts] for texts in (answers, background))
    count, expected = sum(map(bool, own)), sum(map(bool, other))
    if count < _LEAST or _p_value(count, len(answers), expected, len(background)) >= UNASKED:
        return None
    forms = Counter(word for said in own for word in said)
    terms = tuple(sorted(forms, key=lambda word: (-forms[word], word)))
    return Theme(count / len(answers), expected / max(1, len(background)), count, terms)


def _p_value(count: int, n: int, other: int, m: int) -> float:
    from scipy.stats import fisher_exact

    return float(fisher_exact([[count, n - count], [other, m - other]], alternative="greater").pvalue)
