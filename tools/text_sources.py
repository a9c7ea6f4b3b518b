"""General text that the user names: a text file, a JSONL file, or a data set of the model hub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol, cast

from finetrace.errors import FinetraceError, closest

FILE_SUFFIXES = frozenset({".txt", ".jsonl"})

MOST_DOCUMENTS = 20_000
"""Documents read from one source; prefills need no more."""

LONGEST_DOCUMENT = 20_000
"""Characters kept of one document; prefills come from its beginning."""

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of one line, above which a file is not taken for text."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


class _HubLoader(Protocol):
    """The one function used of the ``datasets`` package, which is not a dependency."""

    def load_dataset(self, path: str, *, split: str, streaming: bool) -> Iterable[dict[str, object]]: ...


def looks_like_hub_id(spec: str) -> bool:
    """Whether ``spec`` has the form ``owner/name``."""
    return _HUB_ID.fullmatch(spec) is not None


def read_text_file(path: Path) -> list[str]:
    """The first ``MOST_DOCUMENTS`` documents of a ``.txt`` or ``.jsonl`` file, each cut to a bounded length.

    A ``.txt`` file holds one document per paragraph, or per line where it has no blank lines. Each line of a
    ``.jsonl`` file is a string, or an object with the key ``text`` or with one string value only.

    Raises:
        FinetraceError: Missing, a folder, another kind of file, not UTF-8, malformed or empty.
    """
    _check_file(path)
    lines = _lines(path)
    texts = _json_texts(path, lines) if path.suffix == ".jsonl" else _paragraphs(lines)
    stripped = (text.strip()[:LONGEST_DOCUMENT] for text in texts)
    try:
        documents = list(islice(dict.fromkeys(text for text in stripped if text), MOST_DOCUMENTS))
    except OSError as error:
        raise FinetraceError(f"cannot read {path}: {error.strerror}", "check its permissions") from error
    if not documents:
        raise FinetraceError(f"{path} holds no text", "give a file with at least one paragraph or line of text")
    return documents


def read_hub_data_set(spec: str) -> list[str]:
    """The first documents of a hub data set's ``train`` split, read as a stream.

    Raises:
        FinetraceError: The ``datasets`` package is missing, the hub cannot be reached, or no column is text.
    """
    advice = "or save its text to a .txt or .jsonl file and give that"
    try:
        import datasets  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise FinetraceError(
            f"reading the hub data set '{spec}' needs the package 'datasets'",
            f"pip install datasets, {advice}",
        ) from error
    try:
        rows = cast(_HubLoader, datasets).load_dataset(spec, split="train", streaming=True)
        texts = [_row_text(row) for row in islice(rows, MOST_DOCUMENTS)]
    except Exception as error:  # the package raises errors of several HTTP libraries beside its own
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise FinetraceError(
            f"cannot read the hub data set '{spec}': {reason}", f"check its name and the network, {advice}"
        ) from error
    documents = [text.strip()[:LONGEST_DOCUMENT] for text in texts if text and text.strip()]
    if not documents:
        raise FinetraceError(f"the hub data set '{spec}' has no text column", f"choose another one, {advice}")
    return documents


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise FinetraceError(f"{path} is a folder", "give one .txt or .jsonl file in it")
    if not path.exists():
        siblings = (child.name for child in path.parent.iterdir()) if path.parent.is_dir() else ()
        near = closest(path.name, (name for name in siblings if Path(name).suffix in FILE_SUFFIXES))
        raise FinetraceError(f"no such file: {path}", f"text files in {path.parent}: {near}")
    if not path.is_file():
        raise FinetraceError(f"{path} is not a regular file", "give a .txt or .jsonl file")
    if path.suffix not in FILE_SUFFIXES:
        raise FinetraceError(
            f"cannot tell how to read {path}",
            "name it .txt (paragraphs or lines) or .jsonl (one object per line)",
        )


def _lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 file, line ends off, the byte order mark off the first."""
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), start=1):
            if len(line) > LONGEST_LINE:
                limit = LONGEST_LINE // (1024 * 1024)
                raise FinetraceError(
                    f"{path}, line {number}: longer than {limit} MiB",
                    "break the text into lines or paragraphs",
                )
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise FinetraceError(
                    f"{path}, line {number}: not UTF-8 (byte {error.start + 1} of the line)",
                    "convert the file, for instance: iconv -f LATIN1 -t UTF-8 FILE > NEW.txt",
                ) from error
            yield text.removeprefix("\ufeff").rstrip("\r\n")


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Paragraphs; the single lines where no blank line parts them."""
    held: list[str] = []
    after_blank = parted = False
    for line in lines:
        if line.strip():
            if after_blank and held:
                yield "\n".join(held)
                held, parted = [], True
            held.append(line[:LONGEST_DOCUMENT])
        after_blank = not line.strip()
        if len(held) >= MOST_DOCUMENTS:
            break
    yield from ["\n".join(held)] if parted else held


def _json_texts(path: Path, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
            raise FinetraceError(
                f"{path}, line {number}: not JSON ({reason})", "write one JSON object per line"
            ) from error
        text = row if isinstance(row, str) else _row_text(row) if isinstance(row, dict) else None
        if text is None:
            raise FinetraceError(
                f"{path}, line {number}: no text", "give each object the key 'text', or one string value only"
            )
        yield text


def _row_text(row: dict[str, object]) -> str | None:
    """The key ``text``, else the only string among the values."""
    if isinstance(row.get("text"), str):
        return cast(str, row["text"])
    strings = [value for value in row.values() if isinstance(value, str)]
    return strings[0] if len(strings) == 1 else None
