"""The steps of one run, as they lie in the store: what was appended once is never done again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import reduce
from time import monotonic
from typing import Any

from finetrace.schema import Step, Usage
from finetrace.store import Store


def total_usage(steps: Iterable[Step]) -> Usage:
    """What these steps used up together."""
    return reduce(lambda total, step: total + step.usage, steps, Usage())


class Transcript:
    """Reads and appends the steps of one run.

    Args:
        store: Where they lie.
        run_id: The run.
        on_step: Called with each new step, for a view that follows the run.
    """

    def __init__(self, store: Store, run_id: str, on_step: Callable[[Step], None] | None = None) -> None:
        self._store = store
        self._run_id = run_id
        self._on_step = on_step
        self.steps: list[Step] = store.steps(run_id)

    @property
    def usage(self) -> Usage:
        """Sum over all steps."""
        return total_usage(self.steps)

    def step(self, number: int) -> Step | None:
        """A step that is there already, after a crash between two nodes."""
        return next((step for step in self.steps if step.number == number), None)

    def append(self, number: int, started: Clock, **fields: Any) -> Step:
        """Add step ``number`` and write it through."""
        usage = fields.pop("usage", Usage())
        step = Step(
            number=number,
            started_at=started.at,
            finished_at=datetime.now(UTC),
            usage=usage.model_copy(update={"seconds": started.seconds}),
            **fields,
        )
        self._store.append_step(self._run_id, step)
        self.steps.append(step)
        if self._on_step:
            self._on_step(step)
        return step


class Clock:
    """When something began.

    Args:
        spent: Seconds it had taken before.
    """

    def __init__(self, spent: float = 0.0) -> None:
        self.at = datetime.now(UTC) - timedelta(seconds=spent)
        self._began = monotonic() - spent

    @property
    def seconds(self) -> float:
        """Seconds since then, to the millisecond."""
        return round(monotonic() - self._began, 3)
