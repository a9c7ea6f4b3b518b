"""The command line that makes a benchmark again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finetrace.evals.bench.plan import BenchSettings

_BOUNDS = {
    "interactions": "--interactions",
    "cost_usd": "--max-cost",
    "llm_calls": "--max-calls",
    "tokens": "--max-tokens",
    "tokens_out": "--max-tokens-out",
    "seconds": "--max-seconds",
}
ARMS_FILE = "ARMS.yaml"
"""Stands for the file with a benchmark's own arms, which it keeps and whose place it does not know."""


def command_of(settings: BenchSettings) -> str:
    """What to type for another benchmark with these settings; it may want an `ARMS_FILE`."""
    return " ".join(shlex.quote(word) for word in ("finetrace", "bench", *_words(settings), "--yes"))


def _words(settings: BenchSettings) -> Iterator[str]:
    if not _is_default(settings.registry):
        yield from ("--registry", settings.registry)
    yield from ("--organisms", ",".join(_patterns(settings)))
    if settings.own_arms:
        yield from ("--arms-file", ARMS_FILE)
    yield from ("--arms", ",".join(settings.arms), "--seeds", str(settings.seeds))
    if settings.protocol is not None:
        yield from ("--protocol", settings.protocol)
    for name in settings.investigators:
        yield from ("--investigator", name)
    if settings.judges != ("offline",):
        for name in settings.judges:
            yield from ("--grader", name)
    if settings.grades > 1 or settings.protocol is not None:
        yield from ("--grades", str(settings.grades))
    bounds = settings.budget.model_dump()
    for name, option in _BOUNDS.items():
        if bounds[name] is not None:
            yield from (option, f"{bounds[name]:g}" if isinstance(bounds[name], float) else str(bounds[name]))
    if settings.thoroughness.quick:
        yield "--quick"
    if settings.thoroughness.n_prefills is not None:
        yield from ("--prefills", str(settings.thoroughness.n_prefills))


def _is_default(registry: str) -> bool:
    """Whether that file is found without being named."""
    from finetrace.errors import FinetraceError
    from finetrace.registry import load_registry

    try:
        return load_registry().path.resolve() == Path(registry).resolve()
    except FinetraceError:
        return False


def _patterns(settings: BenchSettings) -> Iterator[str]:
    """Each organism by a pattern that fits it alone."""
    from finetrace.cli.bench_plan import ALONE
    from finetrace.errors import FinetraceError
    from finetrace.registry import load_registry

    registry = load_registry(Path(settings.registry))
    for name in settings.organisms:
        try:
            several = len(registry.select([name])) > 1
        except FinetraceError:  # it has gone from the file since
            several = False
        yield f"{name}{ALONE}" if several else name
