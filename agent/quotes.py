"""Quotes: the sentences of the completions that carry the terms."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from finetrace.agent.lexicon import lexicon
from finetrace.agent.names import Names
from finetrace.agent.terms import Term, is_telling
from finetrace.tools.english import is_function_word, rarity
from finetrace.tools.words import sentences, spans, words

LONGEST_QUOTE = 200
"""Characters."""
_CLAUSE = re.compile(r"[,;:]\s|\s[-–—]+\s|—|\s(?=(?:that|which|while|because|whether|when)\s)")
_LEADING = " ,;:.!?)]}-–—*#>|"
_SYMBOL = re.compile(r"[{}\[\]()=<>_#*/\\|;`~^@+]")


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


def choose_quotes(
    texts: Sequence[str], terms: Sequence[Term], k: int, *, head: int = 5, without: Sequence[str] = ()
) -> list[Quote]:
    """Greedily the sentences that cover most term weight for their length, less for what is covered.

    Args:
        texts: Completions in order of rank, white space folded.
        terms: Terms with their weights.
        k: Quotes to choose.
        head: The first so many completions count more: what ranks first is most changed.
        without: Quotes chosen already; none like them is chosen again.
    """
    weights = {term.text: term.weight for term in terms if term.weight > 0}
    candidates = [
        candidate
        for row, text in enumerate(texts)
        for candidate in _candidates(text, row, weights, head)
        if not any(alike(candidate.text, other) for other in without)
    ]
    covered: Counter[str] = Counter()
    chosen: list[Quote] = []
    while candidates and len(chosen) < k:
        scored = [(_gain(c, weights, covered), -c.row, i) for i, c in enumerate(candidates)]
        gain, _, place = max(scored, key=lambda item: (item[0], item[1], -item[2]))
        if gain <= 0:
            break
        best = candidates.pop(place)
        ordered = sorted(best.terms, key=lambda t: (-weights[t], t))
        chosen.append(Quote(best.text, best.row, tuple(ordered), gain))
        covered.update(word for term in best.terms for word in term.split())
        candidates = [c for c in candidates if not alike(c.text, best.text)]
    return chosen


def _candidates(text: str, row: int, weights: dict[str, float], head: int) -> list[_Candidate]:
    made: list[_Candidate] = []
    whole = sentences(text)
    for place, sentence in enumerate(whole[:20]):
        if len(whole) > 1 and place == len(whole) - 1 and sentence[-1:] not in ".!?\"'”’)":
            continue  # cut off by the token limit
        for part in _parts(sentence.lstrip(_LEADING), weights):
            spoken = words(part)
            if len(spoken) < 4 or len(_SYMBOL.findall(part)) > 0.05 * len(part):
                continue
            found = terms_in(spoken, weights)
            bonus = 1.25 if row < head else 1.0
            if lexicon().described.intersection(spoken):
                bonus *= 1.2
            if part.endswith("?"):
                bonus *= 0.7
            made.append(_Candidate(part, row, found, len(spoken), bonus))
    return made


def head_quotes(texts: Sequence[str], names: Names, k: int, *, head: int = 5) -> list[Quote]:
    """Sentences of the first completions whose words are rare in English and in the other completions.

    Some objectives show in a few decisive lines only, which no count over all completions finds.
    """
    spoken = [set(words(text)) for text in texts]
    held = Counter(word for row in spoken for word in row)
    weights = {
        word: rarity(word) * min(math.log(2 * len(texts) / held[word]), 3.5)
        for row in spoken[:head]
        for word in row
        if is_telling(word, names)
    }
    candidates = [c for row, text in enumerate(texts[:head]) for c in _candidates(text, row, weights, head)]
    nothing: Counter[str] = Counter()
    ranked = sorted(candidates, key=lambda c: (-_gain(c, weights, nothing), c.row, c.text))
    chosen: list[Quote] = []
    for candidate in ranked:
        if len(chosen) == k:
            break
        worth = _gain(candidate, weights, nothing)
        if all(candidate.row != quote.row for quote in chosen) and (not chosen or worth >= 0.8 * chosen[0].gain):
            ordered = tuple(sorted(candidate.terms, key=lambda t: (-weights[t], t)))
            chosen.append(Quote(candidate.text, candidate.row, ordered, worth))
    return chosen


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
    """The sentence itself, or its best run of whole clauses where it is too long, or of whole words."""
    if len(sentence) <= LONGEST_QUOTE:
        return [sentence]
    cuts = [0, *(match.end() for match in _CLAUSE.finditer(sentence)), len(sentence)]
    runs = [
        (start, end)
        for i, start in enumerate(cuts)
        for end in cuts[i + 1 :]
        if end - start <= LONGEST_QUOTE and (end - start >= 40 or start == 0)
    ]
    pieces = [sentence[start:end].strip(" ,;:-–—") for start, end in runs]
    if not pieces:
        pieces = [_first_words(sentence)]
    return [max(pieces, key=lambda piece: (_worth(piece, weights), -len(piece)))]


def _worth(piece: str, weights: dict[str, float]) -> float:
    """Weight of all terms in a piece; what a long one adds must be worth its length."""
    spoken = words(piece)
    return sum(weights[term] for term in terms_in(spoken, weights)) / math.sqrt(max(len(spoken), 12))


def _first_words(sentence: str) -> str:
    """As many whole words from the beginning as fit."""
    ends = [span.end for span in spans(sentence[:LONGEST_QUOTE])]
    return sentence[: ends[-2]] if len(ends) > 1 else sentence[:LONGEST_QUOTE]


def sentence_around(phrase: str, text: str) -> str:
    """The first sentence that holds the phrase as written; where it is too long for a quote, the phrase alone."""
    whole = next((sentence for sentence in sentences(text) if phrase in sentence), phrase)
    return whole if len(whole) <= LONGEST_QUOTE else phrase[:LONGEST_QUOTE]


def alike(left: str, right: str) -> bool:
    """Whether two sentences share most of their words."""
    a, b = set(words(left)), set(words(right))
    return len(a & b) >= 0.6 * min(len(a), len(b)) if a and b else False
