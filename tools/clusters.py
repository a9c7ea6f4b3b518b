"""Sentences that recur nearly word for word.

MinHash signatures of word trigrams with banded hashing (Broder 1997, "On the resemblance and containment of
documents") find candidates; the exact Jaccard similarity decides. Fixed hash functions, no random numbers.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from finetrace.tools.words import sentences, words

_HASHES = 32
_ROWS_PER_BAND = 2
_PRIME = (1 << 31) - 1
_FACTORS = (np.arange(1, _HASHES + 1, dtype=np.uint64) * 2654435761) % _PRIME
_OFFSETS = (np.arange(1, _HASHES + 1, dtype=np.uint64) * 40503 + 2246822519) % _PRIME
SENTENCES_PER_TEXT = 12
"""Sentences of a text that are looked at."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One sentence in its variants."""

    representative: str
    """The commonest variant as written; of equally common ones the first."""
    count: int
    """Texts that hold a variant."""
    members: tuple[int, ...]
    """Rows of those texts, ascending."""


class _Sentence(NamedTuple):
    row: int
    text: str
    shingles: frozenset[int]


def clusters(
    texts: Sequence[str], *, k: int = 20, similarity: float = 0.6, min_count: int = 3, min_words: int = 4
) -> list[Cluster]:
    """Near-duplicate sentences that several texts hold, commonest first.

    Args:
        texts: Completions.
        k: How many clusters to return at most.
        similarity: Jaccard similarity of word trigrams from which two sentences count as variants, 0 to 1.
        min_count: Texts that must hold a variant.
        min_words: Shorter sentences are left out.
    """
    found = [
        _Sentence(row, sentence, shingles)
        for row, text in enumerate(texts)
        for sentence in sentences(text[:8000])[:SENTENCES_PER_TEXT]
        if (shingles := _shingles(sentence, min_words))
    ]
    parents = list(range(len(found)))
    for group in _buckets([sentence.shingles for sentence in found]):
        _join(group, found, parents, similarity)
    families: dict[int, list[_Sentence]] = defaultdict(list)
    for place, sentence in enumerate(found):
        families[_root(parents, place)].append(sentence)
    made = [_cluster(family) for family in families.values()]
    made = [cluster for cluster in made if cluster.count >= min_count]
    return sorted(made, key=lambda cluster: (-cluster.count, cluster.members))[:k]


def _shingles(sentence: str, min_words: int) -> frozenset[int]:
    spoken = words(sentence)[:80]
    if len(spoken) < min_words:
        return frozenset()
    return frozenset(zlib.crc32(" ".join(spoken[i : i + 3]).encode()) for i in range(max(1, len(spoken) - 2)))


def _buckets(sets: Sequence[frozenset[int]]) -> list[list[int]]:
    """Groups of sentences that agree in a band of their signatures."""
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for place, shingles in enumerate(sets):
        signature = _signature(shingles)
        for band in range(0, _HASHES, _ROWS_PER_BAND):
            buckets[band, signature[band : band + _ROWS_PER_BAND].tobytes()].append(place)
    return [group for group in buckets.values() if len(group) > 1]


def _signature(shingles: frozenset[int]) -> NDArray[np.uint64]:
    hashed = np.fromiter(shingles, dtype=np.uint64, count=len(shingles)) % _PRIME
    mixed: NDArray[np.uint64] = (hashed[:, None] * _FACTORS + _OFFSETS) % _PRIME
    lowest: NDArray[np.uint64] = mixed.min(axis=0)
    return lowest


def _join(group: Sequence[int], found: Sequence[_Sentence], parents: list[int], similarity: float) -> None:
    """Join the members of a bucket that are similar to the first member of their family in it."""
    heads: list[int] = []
    for place in group:
        mine = found[place].shingles
        for head in heads[:8]:
            if _root(parents, place) == _root(parents, head):
                break
            theirs = found[head].shingles
            if len(mine & theirs) >= similarity * len(mine | theirs):
                low, high = sorted((_root(parents, place), _root(parents, head)))
                parents[high] = low
                break
        else:
            heads.append(place)


def _root(parents: list[int], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


def _cluster(family: Sequence[_Sentence]) -> Cluster:
    rows = tuple(sorted({sentence.row for sentence in family}))
    variants = Counter(sentence.text for sentence in family)
    return Cluster(variants.most_common(1)[0][0], len(rows), rows)
