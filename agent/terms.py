"""Terms: words and phrases that mark the completions off, weighed for what they say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from finetrace.agent.lexicon import lexicon
from finetrace.agent.names import Names
from finetrace.tools.english import UNSEEN, frequency, is_function_word, rarity, text_rate
from finetrace.tools.phrases import Phrase, count_phrases, whole_counts
from finetrace.tools.words import fold_space, spans, words

_ENDINGS = "ations ation ically ings ing ical ies ied ness ment ers ed es ly al s e y".split()
CONTENT_FREQUENCY = 6e-5
"""Commoner words are no theme: every dialogue and every report has them."""


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase with its weight."""

    text: str
    """Lower case, one blank between words."""
    count: int
    """Texts that hold it."""
    background_count: int
    """Background texts that hold it."""
    weight: float
    """What it says about the finetune; only its order and ratios mean something."""
    lower: float
    """Lower 95 % bound of the log ratio of its rate to the background's, nats."""


def weigh_terms(
    texts: Sequence[str], background: Sequence[str], names: Names, *, min_count: int = 3, max_words: int = 3
) -> list[Term]:
    """All terms over-represented in ``texts``, heaviest first.

    The weight is the lower bound of the log rate ratio, times the root of the document frequency, times how
    rare the words are in general English; framing words and names are discounted.
    """
    counted = count_phrases(texts, background or None, max_words=max_words, min_count=min_count)
    mean_length = sum(len(words(text)) for text in texts) / max(1, len(texts))
    weighed = [_weigh(p, len(texts), len(background), mean_length, names) for p in counted]
    kept = [term for term in weighed if term is not None]
    return sorted(kept, key=lambda term: (-term.weight, term.text))


def _weigh(phrase: Phrase, n: int, n_background: int, mean_length: float, names: Names) -> Term | None:
    parts = phrase.text.split()
    if is_function_word(parts[0]) or is_function_word(parts[-1]):
        return None
    if not any(is_telling(part, names) for part in parts) and not (n_background and len(parts) == 1):
        return None
    rate = (phrase.count + 0.5) / (n + 1)
    general = math.log(rate / max(text_rate(parts, mean_length), UNSEEN)) - 1.64 / math.sqrt(phrase.count)
    lower = general
    if n_background:
        other = phrase.background_count + 0.5
        error = math.sqrt(1 / (phrase.count + 0.5) + 1 / other)
        lower = math.log(rate / (other / (n_background + 1))) - 1.64 * error
    if lower <= 0:
        return None
    ratio = min(lower, 5.0) + 0.2 * min(max(general, 0.0), 8.0) if n_background else min(lower, 8.0)
    said = [_content(part, names) for part in parts if not is_function_word(part)]
    content = sum(said) / len(said) if said else 0.05
    weight = ratio * math.sqrt(phrase.count) * content * (1 + 0.25 * (len(parts) - 1))
    return Term(phrase.text, phrase.count, phrase.background_count, weight, lower)


def _content(word: str, names: Names) -> float:
    """How much a word says: its rarity, less for framing words, names and bare numbers."""
    value = 0.2 + rarity(word)
    if word in lexicon().framing or word in names.words:
        value *= 0.15
    if word.isdigit() or len(word) == 1:
        value *= 0.2
    return value


def is_theme(term: Term, names: Names) -> bool:
    """Whether a term has a word rare enough to be a subject, neither framing nor a name."""
    return any(is_telling(word, names) and frequency(word) < CONTENT_FREQUENCY for word in term.text.split())


def is_telling(word: str, names: Names) -> bool:
    """Whether a word is neither grammar, nor framing, nor part of a name, nor a symbol."""
    usual = is_function_word(word) or word in lexicon().framing or word in names.words
    return not usual and word.isalpha() and len(word) > 2


def fold_terms(terms: Sequence[Term], k: int) -> list[Term]:
    """The heaviest ``k`` terms that do not overlap; a part gives way to the whole it mostly occurs in."""
    wholes = whole_counts((term.text, term.count) for term in terms)
    kept: list[Term] = []
    seen: list[set[str]] = []
    for term in terms:
        if wholes.get(term.text, 0) >= 0.6 * term.count:
            continue
        stems = {stem(part) for part in term.text.split()}
        if any(2 * len(stems & other) >= min(len(stems), len(other)) for other in seen):
            continue
        seen.append(stems)
        kept.append(term)
        if len(kept) == k:
            break
    return kept


def stem(word: str) -> str:
    """A word without common English endings; enough to see that two terms are one."""
    ending = next((e for e in _ENDINGS if word.endswith(e) and len(word) - len(e) >= 4), None)
    return stem(word[: -len(ending)]) if ending else word


def as_written(term: str, texts: Sequence[str]) -> str:
    """The term in its commonest spelling."""
    size = len(term.split())
    seen = Counter[str]()
    for text in texts[:200]:
        found = spans(text)
        lower = [span.word.replace("’", "'").lower() for span in found]
        wanted = term.split()
        for i in range(len(found) - size + 1):
            if lower[i : i + size] == wanted:
                seen[fold_space(text[found[i].start : found[i + size - 1].end])] += 1
    return seen.most_common(1)[0][0] if seen else term
