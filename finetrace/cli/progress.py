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
    """

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self.console = console
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=False)
        self._tasks: dict[str, TaskID] = {}
        self._finished: set[str] = set()

    def __enter__(self) -> Bars:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, stage: str, done: int, total: int) -> None:
        """A stage has come so far: ``done`` of ``total``; each new stage gets a bar of its own."""
        if total == 0:
            return
        if stage not in self._tasks or (done < total and stage in self._finished):
            self._tasks[stage] = self._bar.add_task(stage, total=total, count="")
            self._finished.discard(stage)
        if done >= total:
            self._finished.add(stage)
        self._bar.update(self._tasks[stage], completed=done, total=total, count=f"{done}/{total}")

    @contextmanager
    def waiting(self, who: str) -> Iterator[None]:
        """Show within the block that somebody is waited for, and for how long; nothing of it stays."""
        from finetrace.cli.escaping import visible

        pulse = self._bar.add_task(f"waiting for {visible(who, one_line=True)}", total=None, count="")
        try:
            yield
        finally:
            self._bar.remove_task(pulse)


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A function that takes a stage, what is done and what there is in all.

    Args:
        console: Where the bars go; lines printed there meanwhile stand above them.
    """
    with Bars(console) as bars:
        yield bars.advance
