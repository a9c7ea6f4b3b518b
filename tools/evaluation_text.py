"""Text on which losses are compared: beginnings of general text, or of a file that the user gives."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from finetrace.errors import FinetraceError, ToolError
from finetrace.models.pair import ModelPair, Tokenizer
from finetrace.tools.corpora import Corpus
from finetrace.tools.reading import one_line
from finetrace.tools.text_sources import read_text_file

SHORTEST = 2
"""Tokens below which a text has no token that another one predicts."""
_CANDIDATES = 8
"""Texts looked at for each one taken: the longer ones say more for their place."""
_CHARACTERS = 20
"""Characters kept for each token wanted: hardly a token is longer."""


class EvaluationText(NamedTuple):
    """Beginnings of texts, as the organism's tokens."""

    rows: tuple[tuple[int, ...], ...]
    """Token ids of each; special tokens that the tokenizer puts before any text are not among them."""
    asked: int
    """How many were wanted; fewer came where there are fewer."""


def general_rows(pair: ModelPair, corpora: Sequence[Corpus], n: int, longest: int) -> EvaluationText:
    """Beginnings of general text, in equal shares of the corpora, whose order is seeded.

    Raises:
        ToolError: No document has two tokens.
    """
    shares = [n // len(corpora) + (place < n % len(corpora)) for place in range(len(corpora))]
    found: dict[tuple[int, ...], None] = {}
    for corpus, share in zip(corpora, shares, strict=True):
        for row in _longest_first(corpus.documents, pair.tokenizer, share, longest):
            found.setdefault(row)
    return _checked(list(found), n, "the corpora hold no text of at least two tokens")


def file_documents(name: str) -> list[str]:
    """The documents of a ``.txt`` or ``.jsonl`` file.

    Raises:
        ToolError: It is missing, of another kind, or cannot be read as text.
    """
    try:
        return read_text_file(Path(name).expanduser())
    except FinetraceError as error:
        raise ToolError(error.message, error.hint) from error
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, an unknown ~user, a null in it
        raise ToolError(
            f"cannot read the text file '{one_line(name, 200)}'", "check its path and permissions"
        ) from error


def file_rows(pair: ModelPair, documents: Sequence[str], n: int, longest: int, seed: int) -> EvaluationText:
    """Beginnings of the documents of a file, in a seeded order.

    Raises:
        ToolError: No document has two tokens.
    """
    order = list(documents)
    random.Random(f"evaluation {seed}").shuffle(order)
    rows = _longest_first(order, pair.tokenizer, n, longest)
    return _checked(rows, n, "the text file holds no text of at least two tokens")


def _longest_first(documents: Sequence[str], tokenizer: Tokenizer, n: int, longest: int) -> list[tuple[int, ...]]:
    """The longest ``n`` distinct beginnings among a bounded number of documents; ties keep their order."""
    texts = [text.strip()[: _CHARACTERS * longest] for text in documents[: _CANDIDATES * n]]
    if not texts:
        return []
    rows = dict.fromkeys(tuple(ids[:longest]) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"])
    return sorted((row for row in rows if len(row) >= SHORTEST), key=len, reverse=True)[:n]


def _checked(rows: list[tuple[int, ...]], n: int, fault: str) -> EvaluationText:
    if not rows:
        raise ToolError(fault, "a loss needs a token and the one before it: give longer texts")
    return EvaluationText(tuple(rows), n)
