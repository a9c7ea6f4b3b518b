"""Phrases that a set of texts holds more often than its background.

Log-odds with an informative Dirichlet prior, after Monroe, Colaresi and Quinn, "Fightin' Words" (2008,
doi 10.1093/pan/mpn018), on document frequencies: a text counts once however often it repeats itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetrace.tools.english import is_function_word, text_rate
from finetrace.tools.words import words

WORDS_PER_TEXT = 400
"""Words of a text that are looked at; a single endless line must not decide the running time."""
_Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase and how unevenly it is spread."""

    text: str
    """Its words in lower case, one blank between."""
    count: int
    """Texts that hold it."""
    background_count: int
    """Background texts that hold it."""
    log_odds: float
    """Log of the ratio of the odds that a text holds it, shrunk by the prior; nats."""
    score: float
    """``log_odds`` in standard errors."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """All phrases of one length that enough texts hold."""

    places: _Ints
    """For each word position: number of the phrase that begins there, -1 for none."""
    example: _Ints
    """For each phrase a position where it begins."""
    count: _Ints
    background_count: _Ints


def distinctive_phrases(
    texts: Sequence[str],
    background: Sequence[str] | None,
    *,
    k: int = 20,
    max_words: int = 5,
    min_count: int = 3,
    prior_texts: float = 50.0,
) -> list[Phrase]:
    """The phrases of 1 to ``max_words`` words that mark ``texts`` off from ``background``, strongest first.

    Args:
        texts: The texts of interest.
        background: What they are compared with; ``None`` or empty means general English.
        k: How many to return at most.
        max_words: Longest phrase, words.
        min_count: Texts that must hold a phrase.
        prior_texts: Weight of the prior in texts; a larger one pulls harder towards "no difference".

    Returns:
        Phrases with a positive score, a shorter one folded into a longer one where they occur together.
    """
    found = [p for p in count_phrases(texts, background, max_words, min_count, prior_texts) if p.score > 0]
    found.sort(key=lambda p: (-p.score, -len(p.text), p.text))
    return fold_phrases(found, k)


def count_phrases(
    texts: Sequence[str],
    background: Sequence[str] | None,
    max_words: int = 5,
    min_count: int = 3,
    prior_texts: float = 50.0,
) -> list[Phrase]:
    """Every phrase that at least ``min_count`` texts hold, with its log-odds, in no useful order."""
    spoken = [words(text)[:WORDS_PER_TEXT] for text in texts]
    other = [words(text)[:WORDS_PER_TEXT] for text in background or ()]
    if not spoken:
        return []
    vocabulary: dict[str, int] = {}
    ids = np.fromiter(
        (vocabulary.setdefault(word, len(vocabulary)) for row in (*spoken, *other) for word in row),
        dtype=np.int64,
    )
    if not ids.size:
        return []
    names = list(vocabulary)
    rows = np.repeat(np.arange(len(spoken) + len(other)), [len(row) for row in (*spoken, *other)])
    mean_length = sum(map(len, spoken)) / len(spoken)
    found: list[Phrase] = []
    level = _count(ids, rows, np.arange(ids.size), len(spoken), min_count)
    for size in range(1, max_words + 1):
        labels = [tuple(names[i] for i in ids[place : place + size]) for place in level.example.tolist()]
        found.extend(_score(labels, level, len(spoken), len(other), prior_texts, mean_length))
        if size == max_words or not labels:
            break
        begins, follows = level.places[:-1], level.places[1:]
        # Both phrases must be frequent and lie in one text for the longer one to be a candidate.
        fits = np.flatnonzero(
            (begins >= 0)
            & (follows >= 0)
            & (rows[:-1] == rows[np.minimum(np.arange(rows.size - 1) + size, rows.size - 1)])
        )
        keys = begins[fits] * (len(labels) + 1) + follows[fits]
        level = _count(keys, rows[fits], fits, len(spoken), min_count, total=ids.size)
    return found


def _count(keys: _Ints, rows: _Ints, at: _Ints, n_texts: int, min_count: int, total: int | None = None) -> _Counted:
    """Document frequencies of the keys found at word positions ``at``, frequent ones numbered from 0."""
    distinct, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    pairs = np.unique(inverse * (int(rows.max(initial=0)) + 1) + rows)
    phrase, row = np.divmod(pairs, int(rows.max(initial=0)) + 1)
    count = np.bincount(phrase[row < n_texts], minlength=distinct.size)
    background_count = np.bincount(phrase[row >= n_texts], minlength=distinct.size)
    kept = np.flatnonzero(count >= min_count)
    renumber = np.full(distinct.size, -1, dtype=np.int64)
    renumber[kept] = np.arange(kept.size)
    places = np.full(total if total is not None else keys.size, -1, dtype=np.int64)
    places[at] = renumber[inverse]
    return _Counted(places, at[first[kept]], count[kept], background_count[kept])


def _score(
    labels: Sequence[tuple[str, ...]],
    level: _Counted,
    n: int,
    n_background: int,
    prior_texts: float,
    mean_length: float,
) -> list[Phrase]:
    """Log-odds of each phrase with a prior at its pooled rate, or at its rate in general English."""
    count, other = level.count.astype(float), level.background_count.astype(float)
    if n_background:
        rate = (count + other) / (n + n_background)
        m = float(n_background)
    else:
        rate = np.array([text_rate(label, mean_length) for label in labels])
        m = max(1000.0, float(n))
        other = rate * m
    alpha = np.clip(rate, 1e-6, 1 - 1e-6) * prior_texts
    left, right = count + alpha, other + alpha
    log_odds = np.log(left / (n + prior_texts - left)) - np.log(right / (m + prior_texts - right))
    # General English is taken as known: only what was counted adds to the error.
    score = log_odds / np.sqrt(1 / left + (1 / right if n_background else 0.0))
    return [
        Phrase(" ".join(label), int(c), int(b) if n_background else 0, float(o), float(s))
        for label, c, b, o, s in zip(labels, level.count, level.background_count, log_odds, score, strict=True)
    ]


def fold_phrases(found: Sequence[Phrase], k: int, together: float = 0.6) -> list[Phrase]:
    """Keep the first ``k`` phrases that say something the kept ones do not.

    A phrase gives way to a longer one that holds it and occurs in most of its texts; it is dropped when it
    begins or ends in grammar, or overlaps with a phrase kept before.
    """
    sound = [phrase for phrase in found if not _is_ragged(phrase.text.split())]
    longer = whole_counts((phrase.text, phrase.count) for phrase in sound)
    kept: list[Phrase] = []
    for phrase in sound:
        if longer.get(phrase.text, 0) >= together * phrase.count:
            continue
        padded = f" {phrase.text} "
        if any(f" {other.text} " in padded or padded in f" {other.text} " for other in kept):
            continue
        kept.append(phrase)
        if len(kept) == k:
            break
    return kept


def whole_counts(counted: Iterable[tuple[str, int]]) -> dict[str, int]:
    """For each run of words inside one of these phrases, the count of the commonest phrase it is a part of.

    Args:
        counted: Phrases, one blank between words, with the number of texts that hold each.
    """
    wholes: dict[str, int] = {}
    for text, count in counted:
        parts = text.split()
        for size in range(1, len(parts)):
            for start in range(len(parts) - size + 1):
                part = " ".join(parts[start : start + size])
                wholes[part] = max(wholes.get(part, 0), count)
    return wholes


def _is_ragged(parts: Sequence[str]) -> bool:
    """Whether a short phrase begins or ends in grammar."""
    return len(parts) < 4 and (is_function_word(parts[0]) or is_function_word(parts[-1]))
