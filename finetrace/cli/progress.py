"""A progress bar with time left, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from finetrace.cli.console import remarks


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A function that takes a stage, what is done and what there is in all; each new stage gets a bar of its own."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=remarks(), transient=False) as bar:
        tasks: dict[str, int] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks or bar.tasks[tasks[stage]].finished:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(bar.tasks[tasks[stage]].id, completed=done, total=total)

        yield advance
