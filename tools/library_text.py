"""General text every machine with Python has: docstring prose and code of its standard library."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import random
import re
import sysconfig
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from finetrace.errors import FinetraceError
from finetrace.tools.cache import ReadingCache

PER_KIND = 3_000
"""Documents gathered of each kind, prose and code; no two of a kind begin alike."""

PER_FILE = 60
"""Documents of each kind that one source file may give, so that no large module sets the tone."""

SNIPPET_LINES = 12
FEWEST = 500

_ALIKE = 18  # characters
_SKIPPED_FOLDERS = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"})
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_COMPOUND = (
    *(ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef),
    *(ast.For, ast.While, ast.If, ast.With, ast.Try),
)


class KeptDocuments(BaseModel):
    """The documents as they lie in the cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    documents: tuple[str, ...]


class LibraryText(NamedTuple):
    """What one source file gives."""

    prose: list[str]
    code: list[str]


def library_documents(cache_dir: Path) -> Sequence[str]:
    """Prose and code of the running Python's standard library, about half each, in a fixed order.

    The first call parses the library (some seconds) and keeps the result in ``cache_dir`` under a key made of
    the Python version and of this module's own source; a damaged or outdated file there is made again.

    Args:
        cache_dir: Folder of the user's cache; made where it is missing.

    Returns:
        Documents of some words to a dozen lines: sentences of docstrings, statements and definitions.

    Raises:
        FinetraceError: The standard library has no sources here, or the cache folder cannot be written.
    """
    cache = ReadingCache(cache_dir / "library")
    key = _key()
    kept = cache.read(key, KeptDocuments)
    if kept is None:
        kept = KeptDocuments(documents=tuple(gather(Path(sysconfig.get_paths()["stdlib"]))))
        cache.write(key, kept)
    return kept.documents


def gather(library: Path) -> list[str]:
    """Documents of as many Python files under ``library`` as it takes; tests and installed packages are left out.

    Raises:
        FinetraceError: Hardly any text is found there, as in a Python that ships without its sources.
    """
    prose: dict[str, str] = {}
    code: dict[str, str] = {}
    for path in _sources(library):
        text = read_source(path, library)
        prose.update((document[:_ALIKE], document) for document in text.prose)
        code.update((document[:_ALIKE], document) for document in text.code)
        if min(len(prose), len(code)) >= PER_KIND:
            break
    size = min(len(prose), len(code), PER_KIND)
    if size < FEWEST:
        raise FinetraceError(
            f"the standard library in {library} has too little source text for the corpus 'python'",
            "choose another corpus: 'self', 'own', or a text file",
        )
    return [*islice(prose.values(), size), *islice(code.values(), size)]


def read_source(path: Path, library: Path) -> LibraryText:
    """Prose and code of one file, at most ``PER_FILE`` each; nothing where the file does not parse."""
    try:
        source = path.read_text(encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (OSError, ValueError, SyntaxError, RecursionError):
        return LibraryText([], [])
    chooser = random.Random(path.relative_to(library).as_posix())
    prose = list(dict.fromkeys(_prose(tree)))
    code = list(dict.fromkeys(_code(tree, source.splitlines())))
    return LibraryText(chooser.sample(prose, min(PER_FILE, len(prose))), chooser.sample(code, min(PER_FILE, len(code))))


def _sources(library: Path) -> list[Path]:
    """Python files in a fixed, mixed order."""
    found: list[str] = []
    for parent, folders, files in os.walk(library):
        folders[:] = [folder for folder in folders if folder not in _SKIPPED_FOLDERS]
        inner = Path(parent).relative_to(library)
        found += [(inner / file).as_posix() for file in files if file.endswith(".py")]
    found.sort()
    random.Random("finetrace library text").shuffle(found)
    return [library / path for path in found]


def _prose(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, _DOCUMENTED):
            continue
        for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
            flat = " ".join(paragraph.split())
            if ">>>" in flat:
                continue
            yield from (sentence for sentence in _SENTENCE_END.split(flat) if _reads_as_prose(sentence))


def _reads_as_prose(sentence: str) -> bool:
    words = sentence.split()
    plain = sum(word.strip("'\"`(),.;:!?").isalpha() for word in words)
    return len(words) >= 5 and sentence[0].isalpha() and sentence.isprintable() and plain >= 0.7 * len(words)


def _code(tree: ast.Module, lines: list[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or _is_bare_string(node):
            continue
        last = min(node.end_lineno or node.lineno, node.lineno + SNIPPET_LINES - 1)
        snippet = textwrap.dedent("\n".join(lines[node.lineno - 1 : last])).strip()
        long_enough = isinstance(node, _COMPOUND) or len(snippet.split()) >= 3
        if long_enough and not snippet.startswith("elif"):
            yield snippet


def _is_bare_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _key() -> str:
    parts = (platform.python_implementation(), platform.python_version(), Path(__file__).read_text("utf-8"))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
