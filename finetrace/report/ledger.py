"""The budget of a run: what was allowed, what was used, and which step used it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from finetrace.report.page import count, dollars, duration
from finetrace.schema import Run, Step, Usage

_MEANS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("interactions", "organism interactions", count),
    ("llm_calls", "calls of language models", count),
    ("tokens", "tokens", count),
    ("tokens_out", "tokens written", count),
    ("cost_usd", "cost", dollars),
    ("seconds", "time", duration),
)


class Line(NamedTuple):
    """One means, such as interactions."""

    name: str
    used: str
    allowed: str
    """Empty for no bound."""
    share: float | None
    """Used of allowed, at most 1; ``None`` without a bound or where it is not known what was used."""
    over: bool
    """More was used than allowed."""


class Spent(NamedTuple):
    """What one step used, and all up to it."""

    step: Step
    total: Usage


class Ledger(NamedTuple):
    """All of it."""

    lines: tuple[Line, ...]
    steps: tuple[Spent, ...]
    used: Usage


def ledger(run: Run, steps: Sequence[Step]) -> Ledger:
    """The budget of a run; of one that goes on, what its steps used so far."""
    spent: list[Spent] = []
    total = Usage()
    for step in steps:
        total = total + step.usage
        spent.append(Spent(step, total))
    used = run.usage if run.finished_at else total
    given = run.settings.get("budget")
    bounds = given if isinstance(given, Mapping) else {}
    lines = [_line(name, said, write, getattr(used, name), bounds.get(name)) for name, said, write in _MEANS]
    return Ledger(tuple(lines), tuple(spent), used)


def _line(name: str, said: str, write: Callable[[Any], str], used: float | None, bound: Any) -> Line:
    known = isinstance(bound, int | float) and not isinstance(bound, bool)
    share = None
    if known and used is not None:
        share = min(1.0, used / bound) if bound > 0 else float(used > 0)
    over = known and used is not None and used > bound
    return Line(said, write(used), write(bound) if known else "", share, over)
