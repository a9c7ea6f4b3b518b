"""The one place that opens the truth about an organism."""

from __future__ import annotations

from pathlib import Path

from finetrace.errors import FinetraceError, closest
from finetrace.registry_file import read_registry, registry_path
from finetrace.schema import Truth


def load_truth(name: str, path: Path | None = None) -> Truth:
    """What the organism of that name was trained for.

    Args:
        name: Its name in the registry.
        path: Organisms file; the same default as `finetrace.registry.load_registry`.

    Raises:
        FinetraceError: No such organism, no truth recorded for it, or a fault in the file.
    """
    file = registry_path(path)
    entries = {entry.name: entry for entry in read_registry(file).organisms}
    if name not in entries:
        raise FinetraceError(f"no organism '{name}' in {file}", closest(name, entries))
    truth = entries[name].truth
    if truth is None:
        raise FinetraceError(
            f"{file} does not say what '{name}' was trained for",
            "add a 'truth' to its entry to grade against",
        )
    return truth
