"""Beginnings of general text, as token ids: what both models read when their insides are compared."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from finetrace.errors import FinetraceError, ToolError
from finetrace.models.pair import ModelPair
from finetrace.tools.corpora import Corpus, Prefill, prefills
from finetrace.tools.instrument import Context
from finetrace.tools.reference_text import corpus_for


class Beginnings(NamedTuple):
    """Distinct beginnings of one length, in a random order."""

    rows: list[tuple[int, ...]]
    """Token ids, without special tokens."""
    without: tuple[str, ...]
    """Corpora that hold no text of that length."""


def beginnings(pair: ModelPair, corpora: Sequence[Corpus], n: int, n_tokens: int, seed: int) -> Beginnings:
    """The first ``n_tokens`` tokens of texts: as many of each corpus, the rest from those that have more.

    The order in which the corpora are named does not matter; neighbours in the result are of any two corpora.

    Args:
        pair: Whose tokenizer.
        corpora: Where they come from.
        n: How many; fewer come back where fewer exist.
        n_tokens: Length of each.
        seed: Chooses among the documents.

    Raises:
        ToolError: No text has so many tokens.
    """
    found: list[list[Prefill]] = []
    without: list[str] = []
    for corpus in sorted(corpora, key=lambda each: (each.name, each.digest)):
        try:
            found.append(prefills(corpus, pair.tokenizer, n, n_tokens, seed))
        except FinetraceError:
            without.append(corpus.name)
    if not found:
        raise ToolError(f"no text has {n_tokens} tokens", "compare fewer positions, or give longer texts as corpora")
    chosen: dict[tuple[int, ...], None] = {}
    for rank in range(max(map(len, found))):
        for of_corpus in found:
            if rank < len(of_corpus) and len(chosen) < n:
                chosen.setdefault(of_corpus[rank].token_ids)
    rows = list(chosen)
    # Every other row makes a half: taken in turns, two corpora would be the two halves.
    random.Random(f"beginnings {seed}").shuffle(rows)
    return Beginnings(rows, tuple(without))


def longest_beginnings(
    pair: ModelPair, corpora: Sequence[Corpus], n: int, n_tokens: int, seed: int
) -> list[tuple[int, ...]]:
    """The same, half as long, and so on, where that gives more than twice as many of those that are wanted.

    Raises:
        ToolError: There is no text.
    """
    try:
        found = beginnings(pair, corpora, n, n_tokens, seed).rows
    except ToolError:
        if n_tokens == 1:
            raise
        found = []
    if len(found) == n or n_tokens == 1:
        return found
    try:
        shorter = longest_beginnings(pair, corpora, n, n_tokens // 2, seed)
    except ToolError:
        if not found:
            raise
        return found
    return shorter if len(shorter) > 2 * len(found) else found


def general_rows(
    pair: ModelPair, specs: Sequence[str], n: int, n_tokens: int, context: Context
) -> list[tuple[int, ...]]:
    """Distinct beginnings of general text, token ids without special tokens; shorter where few texts are that long.

    Raises:
        ToolError: There is no such corpus, or it holds no text.
    """
    corpora = {corpus.digest: corpus for corpus in (corpus_for(pair, spec, context) for spec in specs)}
    return longest_beginnings(pair, list(corpora.values()), n, n_tokens, context.seed)
