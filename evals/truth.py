"""The one place that opens the truth about an organism."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from finetrace.errors import FinetraceError
from finetrace.registry_file import RegistryFile, listed, read_registry, registry_path
from finetrace.registry_names import match
from finetrace.schema import Truth


class Sealed(NamedTuple):
    """All that the registry knows of an organism and no investigator may see."""

    truth: Truth | None
    mixing: str | None
    """Own texts to general texts by number, such as ``1:4``; ``None`` where not known."""
    note: str
    """What a person should know before using it."""


class Truths(NamedTuple):
    """What a whole registry was trained for."""

    by_family: dict[str, Truth]
    """Every objective, as `load_truths` gives them."""
    families: dict[str, str]
    """Family of each organism, by its full name."""


def load_truth(name: str, path: Path | None = None) -> Truth:
    """What the organism of that name was trained for.

    Args:
        name: Its full name in the registry, a short form that fits it alone, or the name of a family.
        path: Organisms file; the same default as `finetrace.registry.load_registry`.

    Raises:
        FinetraceError: No such organism, no truth recorded for it, or a fault in the file.
    """
    file = registry_path(path)
    read = read_registry(file)
    alone = any(each.name == name for each in listed(read))
    truth = None if alone else _truths(read).get(name)
    truth = truth or _sealed(read, name, file).truth
    if truth is None:
        raise FinetraceError(
            f"{file} does not say what '{name}' was trained for",
            "add a 'truth' to its entry to grade against",
        )
    return truth


def load_sealed(name: str, path: Path | None = None) -> Sealed:
    """The truth of one organism, with how it was trained.

    Raises:
        FinetraceError: No such organism, or a fault in the file.
    """
    file = registry_path(path)
    return _sealed(read_registry(file), name, file)


def load_truths(path: Path | None = None) -> dict[str, Truth]:
    """Every objective of the registry, by family, nulls and objectives without a model included.

    Where several entries share a family, the one that bears its name speaks for it, else the first with a truth.

    Raises:
        FinetraceError: No such file, or a fault in it.
    """
    return read_truths(path).by_family


def read_truths(path: Path | None = None) -> Truths:
    """The same with the family of each organism, from one reading of the file.

    Raises:
        FinetraceError: No such file, or a fault in it.
    """
    read = read_registry(registry_path(path))
    return Truths(_truths(read), {each.name: each.family for each in listed(read)})


def _sealed(read: RegistryFile, name: str, file: Path) -> Sealed:
    entries = {each.name: each for each in listed(read)}
    each = entries[match(name, list(entries), file)]
    return Sealed(each.entry.truth, each.entry.mixing, each.note)


def _truths(read: RegistryFile) -> dict[str, Truth]:
    truths: dict[str, Truth] = {}
    for entry in read.organisms:
        family = getattr(entry, "family", None) or entry.name
        if entry.truth is not None and (family not in truths or entry.name == family):
            truths[family] = entry.truth
    return truths
