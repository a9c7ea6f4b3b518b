"""Progress bars with time left, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


class Bars:
    """One bar for each stage of the work, and a pulse while somebody is waited for.

    A stage that is reported from its beginning again, after it was done, is a new one.

    Args:
        console: Where the bars go; lines printed there meanwhile stand above them.
        waited_for: Who is waited for while no stage is under way; ``None`` for nobody.
    """

    def __init__(self, console: Console, waited_for: str | None = None) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        from finetrace.cli.escaping import visible

        self.console = console
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=False)
        self._tasks: dict[str, TaskID] = {}
        self._finished: set[str] = set()
        self._waited_for = None if waited_for is None else f"waiting for {visible(waited_for, one_line=True)}"
        self._pulse: TaskID | None = None

    def __enter__(self) -> Bars:
        self._bar.start()
        self.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_waiting()
        self._bar.stop()

    def advance(self, stage: str, done: int, total: int) -> None:
        """A stage has come so far: ``done`` of ``total``; each new stage gets a bar of its own."""
        if total == 0:
            return
        self._end_waiting()
        if stage not in self._tasks or (done < total and stage in self._finished):
            self._tasks[stage] = self._bar.add_task(stage, total=total)
            self._finished.discard(stage)
        if done >= total:
            self._finished.add(stage)
        self._bar.update(self._tasks[stage], completed=done, total=total)

    def wait(self) -> None:
        """The stages are done; what comes next is waited for."""
        self._end_waiting()
        if self._waited_for is not None:
            self._pulse = self._bar.add_task(self._waited_for, total=None)

    def _end_waiting(self) -> None:
        if self._pulse is not None:
            self._bar.remove_task(self._pulse)
            self._pulse = None


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A function that takes a stage, what is done and what there is in all.

    Args:
        console: Where the bars go; lines printed there meanwhile stand above them.
    """
    with Bars(console) as bars:
        yield bars.advance
