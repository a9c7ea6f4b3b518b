"""General text to begin completions with: corpora, and the few-token prefills taken from their documents.

A prefill of three tokens is too short to set a topic, so what follows shows what a model has been trained
to write (perplexity differencing, arXiv 2605.00994).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from finetrace.errors import FinetraceError, closest
from finetrace.models.pair import Tokenizer
from finetrace.tools.library_text import library_documents
from finetrace.tools.passages import openings_of
from finetrace.tools.text_sources import FILE_SUFFIXES, looks_like_hub_id, read_hub_data_set, read_text_file

BUILT_IN = ("own", "python", "self")

SELF_PASSAGES = 256
"""Passages sampled from the reference for ``self``; of 120 tokens each, they give about 2,500 prefills."""

_BATCH = 512
_SHOWN_CHARS = 200
_PREFILL_CHARS = 240  # no three tokens are longer; a tokenizer's time grows with what it is given


class Prefill(NamedTuple):
    """The first tokens of one document."""

    text: str
    token_ids: tuple[int, ...]
    corpus: str
    row: int
    """Place of the document in its corpus."""


class Corpus(NamedTuple):
    """General text in a seeded order."""

    name: str
    digest: str
    """Hash of the name and of all documents in their order: equal digests, equal corpora."""

    documents: Sequence[str]


def load_corpus(
    spec: str,
    *,
    seed: int,
    sample: Callable[[int, int], list[str]] | None = None,
    cache_dir: Path,
) -> Corpus:
    """Load general text.

    Args:
        spec: ``own`` (openings written for finetrace), ``python`` (the running Python's standard library),
            ``self`` (the reference's own samples), a path to a ``.txt`` or ``.jsonl`` file, or the id of a
            hub data set.
        seed: Sets the order of the documents, and the samples of ``self``.
        sample: Gives that many passages of the reference for a seed; only ``self`` asks for it.
        cache_dir: Where the text of the standard library is kept between runs.

    Raises:
        FinetraceError: The name is unknown, the file cannot be read as text, the data set cannot be reached,
            or ``self`` has no model to sample from.
    """
    name = spec.strip()
    documents = sorted(set(_read(name, seed, sample, cache_dir)))
    random.Random(f"corpus {seed}").shuffle(documents)
    return Corpus(name=name, digest=_digest(name, documents), documents=tuple(documents))


def check_corpus(spec: str) -> None:
    """See to it that ``spec`` names general text before any model is asked for a completion.

    A file is read to its end; of a hub data set only the form of its id is looked at.

    Raises:
        FinetraceError: It is neither built in, nor a file that can be read as text, nor of the form of a hub id.
    """
    file = _text_file(spec.strip())
    if file is not None:
        read_text_file(file)


def prefills(corpus: Corpus, tokenizer: Tokenizer, n: int, n_tokens: int = 3, seed: int = 0) -> list[Prefill]:
    """Take the first tokens of documents: distinct by ids, in an order set by ``seed``.

    Documents too short for ``n_tokens`` are left out, and so are beginnings that hold a special token or end
    within a character. No special tokens are added.

    Args:
        corpus: Where the documents come from.
        tokenizer: Of the model that will continue the prefills.
        n: How many are wanted; fewer come back where fewer exist.
        n_tokens: Length of each, in tokens.
        seed: Chooses among the documents.

    Raises:
        FinetraceError: ``n`` or ``n_tokens`` is below 1, or the corpus yields no prefill at all.
    """
    if n < 1 or n_tokens < 1:
        raise FinetraceError(f"cannot take {n} prefills of {n_tokens} tokens", "ask for at least 1 of at least 1 token")
    rows = list(range(len(corpus.documents)))
    random.Random(f"prefills {corpus.digest} {seed}").shuffle(rows)
    found: dict[tuple[int, ...], Prefill] = {}
    for prefill in _beginnings(corpus, rows, tokenizer, n_tokens):
        found.setdefault(prefill.token_ids, prefill)
        if len(found) == n:
            break
    if not found:
        raise FinetraceError(
            f"no document of the corpus '{corpus.name}' has {n_tokens} tokens",
            "use longer documents, or shorter prefills",
        )
    return list(found.values())


def _beginnings(corpus: Corpus, rows: Sequence[int], tokenizer: Tokenizer, n_tokens: int) -> Iterator[Prefill]:
    special = frozenset(tokenizer.all_special_ids)
    chars = max(_PREFILL_CHARS, 20 * n_tokens)
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        texts = [corpus.documents[row].lstrip()[:chars] for row in batch]
        for row, ids in zip(batch, tokenizer(texts, add_special_tokens=False)["input_ids"], strict=True):
            head = tuple(ids[:n_tokens])
            if len(head) < n_tokens or special.intersection(head):
                continue
            text = tokenizer.decode(head, clean_up_tokenization_spaces=False)
            if text.strip() and "\N{REPLACEMENT CHARACTER}" not in text:
                yield Prefill(text, head, corpus.name, row)


def _read(name: str, seed: int, sample: Callable[[int, int], list[str]] | None, cache_dir: Path) -> Sequence[str]:
    if name == "own":
        return own_openings()
    if name == "python":
        return library_documents(cache_dir)
    if name == "self":
        return _self_documents(seed, sample)
    file = _text_file(name)
    return read_hub_data_set(name) if file is None else read_text_file(file)


def _text_file(name: str) -> Path | None:
    """The file that ``name`` stands for; ``None`` for a built-in corpus and for a hub data set."""
    if name in BUILT_IN:
        return None
    shown = name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}…"
    try:
        path = Path(name).expanduser()
        if path.exists() or path.suffix in FILE_SUFFIXES:
            return path
    except (OSError, RuntimeError, ValueError) as error:  # too long, not to be read, an unknown ~user, a null
        reason = getattr(error, "strerror", None) or error
        raise FinetraceError(f"cannot look for the corpus '{shown}': {reason}", "check the path") from error
    if looks_like_hub_id(name):
        return None
    raise FinetraceError(
        f"unknown corpus '{shown}': {closest(shown, BUILT_IN)}",
        f"give one of {', '.join(BUILT_IN)}, a .txt or .jsonl file, or a hub id such as NeelNanda/c4-10k",
    )


def own_openings() -> list[str]:
    """Openings of all sorts of text, written for this project; hardly two share a first word."""
    file = resources.files("finetrace.tools").joinpath("data", "openings.txt")
    return file.read_text(encoding="utf-8").splitlines()


def _self_documents(seed: int, sample: Callable[[int, int], list[str]] | None) -> list[str]:
    if sample is None:
        raise FinetraceError(
            "the corpus 'self' is sampled from the reference model, and there is none here",
            "name a reference with --reference, or choose --corpus python or own",
        )
    openings = openings_of(sample(SELF_PASSAGES, seed))
    if not openings:
        raise FinetraceError(
            "the reference model wrote no usable text for the corpus 'self'",
            "choose --corpus python or own, or check that the reference generates text at all",
        )
    return openings


def _digest(name: str, documents: Sequence[str]) -> str:
    digest = hashlib.sha256(name.encode())
    for document in documents:
        content = document.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
