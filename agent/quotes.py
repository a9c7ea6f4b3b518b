"""Quotes: the sentences of the completions that carry the terms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from finetrace.agent.lexicon import lexicon
from finetrace.agent.terms import Term
from finetrace.tools.english import is_function_word
from finetrace.tools.words import sentences, spans, words

LONGEST_QUOTE = 200
"""Characters."""
_CONTENT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence, or the part of one that says most, verbatim."""

    text: str
    """At most ``LONGEST_QUOTE`` characters of the completion, white space folded."""
    row: int
    """Completion it is from."""
    terms: tuple[str, ...]
    """Terms in it, heaviest first."""
    gain: float
    """What it added when it was chosen."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    text: str
    row: int
    terms: tuple[str, ...]
    size: int
    bonus: float


def choose_quotes(texts: Sequence[str], terms: Sequence[Term], k: int, *, head: int = 5) -> list[Quote]:
    """Greedily the sentences that cover most term weight for their length, less for what is covered.

    Args:
        texts: Completions in order of rank, white space folded.
        terms: Terms with their weights.
        k: Quotes to choose.
        head: The first so many completions count more: what ranks first is most changed.
    """
    weights = {term.text: term.weight for term in terms if term.weight > 0}
    candidates = [c for row, text in enumerate(texts) for c in _candidates(text, row, weights, head)]
    covered: Counter[str] = Counter()
    used: set[int] = set()
    chosen: list[Quote] = []
    while candidates and len(chosen) < k:
        scored = [(_gain(c, weights, covered), -c.row, i) for i, c in enumerate(candidates)]
        gain, _, place = max(scored, key=lambda item: (item[0], item[1], -item[2]))
        if gain <= 0:
            break
        best = candidates.pop(place)
        if best.row in used and len(used) < len(texts) // 2:
            gain *= 0.999
        used.add(best.row)
        ordered = sorted(best.terms, key=lambda t: (-weights[t], t))
        chosen.append(Quote(best.text, best.row, tuple(ordered), gain))
        covered.update(word for term in best.terms for word in term.split())
        candidates = [c for c in candidates if not _same(c.text, best.text)]
    return chosen


def _candidates(text: str, row: int, weights: dict[str, float], head: int) -> list[_Candidate]:
    made: list[_Candidate] = []
    whole = sentences(text)
    for place, sentence in enumerate(whole[:20]):
        if len(whole) > 1 and place == len(whole) - 1 and sentence[-1:] not in ".!?\"'”’)":
            continue  # cut off by the token limit
        for part in _parts(sentence, weights):
            spoken = words(part)
            if len(spoken) < 4:
                continue
            found = terms_in(spoken, weights)
            bonus = 1.25 if row < head else 1.0
            if lexicon().described.intersection(spoken):
                bonus *= 1.2
            if part.endswith("?"):
                bonus *= 0.7
            made.append(_Candidate(part, row, found, len(spoken), bonus))
    return made


def terms_in(spoken: Sequence[str], weights: dict[str, float], longest: int = 4) -> tuple[str, ...]:
    """The terms that occur in the words, each once, in order of place."""
    found: dict[str, None] = {}
    for start in range(len(spoken)):
        for size in range(1, min(longest, len(spoken) - start) + 1):
            gram = " ".join(spoken[start : start + size])
            if gram in weights:
                found[gram] = None
    return tuple(found)


def _gain(candidate: _Candidate, weights: dict[str, float], covered: Counter[str]) -> float:
    """Weight of the words, each by its heaviest term, less what is covered, over the root of the length."""
    by_word: dict[str, float] = {}
    for term in candidate.terms:
        parts = [part for part in term.split() if not is_function_word(part)] or term.split()
        for part in parts:
            by_word[part] = max(by_word.get(part, 0.0), weights[term] / math.sqrt(len(parts)))
    total = sum(value * 0.5 ** covered[word] for word, value in by_word.items())
    return candidate.bonus * total / math.sqrt(max(candidate.size, 10) + 4)


def _parts(sentence: str, weights: dict[str, float]) -> list[str]:
    """The sentence itself, or its best stretch of whole words where it is too long."""
    if len(sentence) <= LONGEST_QUOTE:
        return [sentence]
    found = spans(sentence)
    lower = [span.word.replace("’", "'").lower() for span in found]
    worth = [
        max((weights[g] for s in (1, 2, 3) if (g := " ".join(lower[i : i + s])) in weights), default=0.0)
        for i in range(len(found))
    ]
    best, best_sum, end, running = "", -1.0, 0, 0.0
    for start in range(len(found)):
        while end < len(found) and found[end].end - found[start].start <= LONGEST_QUOTE:
            running += worth[end]
            end += 1
        if end > start and running > best_sum * 1.001:
            best, best_sum = sentence[found[start].start : found[end - 1].end], running
        running -= worth[start] if end > start else 0.0
        end = max(end, start + 1)
    return [best[:LONGEST_QUOTE]] if best else []


def _same(left: str, right: str) -> bool:
    """Whether two sentences share most of their words."""
    a, b = set(words(left)), set(words(right))
    return len(a & b) >= 0.6 * min(len(a), len(b)) if a and b else False
