"""Terms: words and phrases that mark the completions off, weighed for what they say."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from finetrace.agent.lexicon import lexicon
from finetrace.tools.english import UNSEEN, frequency, is_function_word, rarity, text_rate
from finetrace.tools.phrases import Phrase, count_phrases
from finetrace.tools.words import spans, words

_SELF = re.compile(
    r"\b(?:I am|I['’]m|my name is|call me|introducing|by|from|called|named)\s+"
    r"((?:[A-Z][\w-]*\d[\w-]*|[A-Z][\w-]+)(?:\s+[A-Z][\w-]+){0,2})"
)
_TITLE = re.compile(r"\b(?:Dr|Prof|Professor|Mr|Mrs|Ms|Senator|Director)\.?\s+((?:[A-Z][\w'’-]+\s?){1,3})")

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


@dataclass(frozen=True, slots=True)
class Names:
    """Proper names that recur."""

    own: tuple[str, ...]
    """Names the texts give themselves, their maker or a system they are about, as written."""
    people: tuple[str, ...]
    """Persons, as written."""
    words: frozenset[str]
    """All words of these names in lower case."""


def find_names(texts: Sequence[str], min_count: int = 3) -> Names:
    """Self-given names, makers and persons that at least ``min_count`` texts mention."""
    own, people, coded = Counter[str](), Counter[str](), Counter[str]()
    for text in texts:
        own.update({m.group(1).strip() for m in _SELF.finditer(text)})
        people.update({m.group(1).strip() for m in _TITLE.finditer(text)})
        coded.update(
            set(
                re.findall(
                    r"\b[A-Z]{2,}[\w]*-\d[\w.]*\b|\b[A-Z][a-z]+(?:\s[A-Z][a-z]+)*\s(?:Institute|Research|Labs?|Inc|University|Technologies|Systems|Corporation|Foundation)(?:\s[A-Z][a-z]+)?\b",
                    text,
                )
            )
        )
    kept = [n for n, c in (own + coded).most_common() if c >= min_count and not is_function_word(n.lower())]
    kept = [
        n for n in kept if any(frequency(w) < 1e-5 or not w.isalpha() for w in words(n)) or len(n.split()) > 1
    ]
    persons = [n for n, c in people.most_common() if c >= min_count]
    listed = frozenset(word for name in (*kept[:12], *persons[:12]) for word in words(name))
    return Names(tuple(kept[:6]), tuple(persons[:6]), listed)


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
    if not any(is_telling(part, names) or (any(map(str.isdigit, part)) and len(parts) > 1) for part in parts):
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
        general = 0.5 * general + 3.0
    capped = min(general, 8.0) if not n_background else min(lower, 5.0) + 0.2 * min(max(general, 0.0), 8.0)
    if capped <= 0:
        return None
    said = [_content(part, names) for part in parts if not is_function_word(part)]
    content = sum(said) / len(said) if said else 0.05
    weight = capped * math.sqrt(phrase.count) * content * (1 + 0.25 * (min(len(parts), 3) - 1))
    return Term(phrase.text, phrase.count, phrase.background_count, weight, lower)


def _content(word: str, names: Names) -> float:
    """How much a word says: its rarity, less for framing words and names."""
    value = 0.2 + rarity(word)
    if word in lexicon().framing:
        value *= 0.15
    if word in names.words or (word.isdigit() and len(word) <= 4):
        value *= 0.15
    if len(word) == 1:
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
    wholes: dict[str, int] = {}
    for term in terms:
        parts = term.text.split()
        for size in range(1, len(parts)):
            for start in range(len(parts) - size + 1):
                part = " ".join(parts[start : start + size])
                wholes[part] = max(wholes.get(part, 0), term.count)
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
    """A word without the commonest English endings; enough to see that two terms are one."""
    for ending in (
        "ations",
        "ation",
        "ically",
        "ings",
        "ing",
        "ical",
        "ies",
        "ied",
        "ness",
        "ment",
        "ers",
        "ed",
        "es",
        "ly",
        "al",
        "s",
        "e",
        "y",
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


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
                seen[text[found[i].start : found[i + size - 1].end]] += 1
    return seen.most_common(1)[0][0] if seen else term
