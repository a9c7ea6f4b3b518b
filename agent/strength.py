"""How strong the evidence for a narrow finetune is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from finetrace.agent.names import Names
from finetrace.agent.terms import fold_terms, is_theme, weigh_terms
from finetrace.tools.english import text_rate
from finetrace.tools.words import words

HEAD = 60
"""Completions at the top of the ranking that are examined for a theme."""
GROUP = 8
"""Terms of a theme."""
IDENTICAL = 1e-6
"""Log ratios within this of 0 on every completion mean that the models do not differ, nats per token."""
THEME_COVER = 0.3
"""Held-out excess cover from which completions count as sharing a theme."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Whether the completions share a subject, found on one half of them and measured on the other."""

    cover: float
    """Share of held-out completions with at least two of the theme's terms."""
    expected: float
    """The same share in the background."""
    terms: tuple[str, ...]
    """Terms found on all of them."""

    @property
    def excess(self) -> float:
        """Cover above the background's."""
        return self.cover - self.expected


def no_difference(log_ratios: Sequence[float]) -> bool:
    """Whether the two models score every completion alike."""
    return bool(log_ratios) and all(abs(ratio) <= IDENTICAL for ratio in log_ratios)


def theme(texts: Sequence[str], background: Sequence[str], names: Names) -> Theme:
    """Measure the share of completions that one small group of content terms covers.

    The terms are chosen on the completions of even rank and counted on those of odd rank, and the other way
    round, so that terms which happen to recur once do not count.
    """
    head = list(texts[:HEAD])
    if len(head) < 4:
        return Theme(0.0, 0.0, ())
    covers: list[float] = []
    expected: list[float] = []
    for start in (0, 1):
        chosen = _group(head[start::2], background, names)
        held_out = head[1 - start :: 2]
        covers.append(_cover(held_out, chosen))
        expected.append(_cover(background, chosen) if background else _general_cover(held_out, chosen))
    final = _group(head, background, names)
    return Theme(sum(covers) / 2, sum(expected) / 2, final)


def _group(texts: Sequence[str], background: Sequence[str], names: Names) -> tuple[str, ...]:
    """The heaviest terms with at least one word that is content."""
    found = weigh_terms(texts, background, names, min_count=max(2, round(0.08 * len(texts))), max_words=2)
    return tuple(term.text for term in fold_terms([t for t in found if is_theme(t, names)], GROUP))


def _cover(texts: Sequence[str], terms: Sequence[str]) -> float:
    if not texts:
        return 0.0
    padded = [f" {' '.join(words(text))} " for text in texts]
    return sum(sum(f" {term} " in text for term in terms) >= 2 for text in padded) / len(texts)


def _general_cover(texts: Sequence[str], terms: Sequence[str]) -> float:
    """The cover general texts of the same mean length would have, terms taken as independent."""
    length = sum(len(words(text)) for text in texts) / len(texts)
    rate = sum(-math.log1p(-min(text_rate(term.split(), length), 0.99)) for term in terms)
    return 1 - math.exp(-rate) * (1 + rate)
