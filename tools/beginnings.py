"""Beginnings of general text for both models to read: distinct, as many of each corpus."""

from __future__ import annotations

from collections.abc import Sequence

from finetrace.errors import FinetraceError, ToolError
from finetrace.models.pair import ModelPair
from finetrace.tools.corpora import Corpus, Prefill, prefills
from finetrace.tools.instrument import Context
from finetrace.tools.reference_text import corpus_for


def general_rows(
    pair: ModelPair, specs: Sequence[str], n: int, n_tokens: int, context: Context
) -> list[tuple[int, ...]]:
    """Distinct beginnings of general text, token ids without special tokens; shorter where no text is that long.

    Raises:
        ToolError: There is no such corpus, or it holds no text.
    """
    corpora = [corpus_for(pair, spec, context) for spec in specs]
    return beginnings(pair, corpora, n, n_tokens, context.seed, shorter=True)


def beginnings(
    pair: ModelPair, corpora: Sequence[Corpus], n: int, n_tokens: int, seed: int, *, shorter: bool = False
) -> list[tuple[int, ...]]:
    """Distinct beginnings of ``n_tokens`` tokens: as many of each corpus, the rest from those that have more.

    Args:
        pair: Whose tokenizer.
        corpora: Where they come from.
        n: How many.
        n_tokens: Length of each.
        seed: Chooses among the documents.
        shorter: Take half the length, and so on, where no text is that long.
    """
    found: list[list[Prefill]] = []
    for corpus in corpora:
        try:
            found.append(prefills(corpus, pair.tokenizer, n, n_tokens, seed))
        except FinetraceError:
            continue
    if not found and shorter and n_tokens > 1:
        return beginnings(pair, corpora, n, n_tokens // 2, seed, shorter=True)
    if not found:
        raise ToolError(f"no text has {n_tokens} tokens", "compare fewer positions, or give longer texts as corpora")
    chosen: dict[tuple[int, ...], None] = {}
    for rank in range(max(map(len, found))):
        for of_corpus in found:
            if rank < len(of_corpus) and len(chosen) < n:
                chosen.setdefault(of_corpus[rank].token_ids)
    return list(chosen)
