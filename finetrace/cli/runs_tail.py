"""`finetrace runs tail`: a run while it is at work."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli import console
from finetrace.cli.exits import Interrupted

if TYPE_CHECKING:
    from finetrace.schema import Run, Step
    from finetrace.store import Store


def tail_run(
    run_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id, its beginning, or 'last' for the newest run.")
    ] = "last",
    lines: Annotated[int, typer.Option("--steps", "-n", min=0, help="Steps to begin with, of those taken.")] = 3,
    every: Annotated[float, typer.Option(min=0.05, metavar="SECONDS", help="How often to look.")] = 1.0,
    full: Annotated[bool, typer.Option("--full", help="Show every reading whole.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each step as one line of JSON.")] = False,
) -> None:
    """Show the steps of a run as they are taken, until it ends.

    Ctrl-C ends the watching, not the run.
    """
    from finetrace.store import Store

    with Store() as store:
        run = store.find(run_id)
        view = _Lines() if as_json else _View(run, full=full)
        try:
            ended = _follow(store, run, view, lines, every)
        except KeyboardInterrupt as stop:
            raise Interrupted(f"finetrace runs tail {run.run_id}") from stop
        view.end(ended, store)


def _follow(store: Store, run: Run, view: _Lines | _View, lines: int, every: float) -> Run:
    """Hand every new step to the view until the run is over."""
    from finetrace.schema import RunStatus

    taken = store.steps(run.run_id)
    begin = max(0, len(taken) - lines)
    view.begin(taken[:begin])
    new, last = taken[begin:], taken[-1].number if taken else 0
    while True:
        for step in new:
            view.show(step)
            last = step.number
        if run.status is not RunStatus.RUNNING:
            return run
        time.sleep(every)
        run = store.run(run.run_id)  # before its steps: what it writes until it ends is then among them
        new = store.steps(run.run_id, after=last)


class _Lines:
    """One JSON object a line, as soon as there is one."""

    def begin(self, earlier: list[Step]) -> None:
        """Nothing is said of steps that are not shown."""

    def show(self, step: Step) -> None:
        """One line."""
        sys.stdout.write(json.dumps(step.model_dump(mode="json"), allow_nan=False) + "\n")
        sys.stdout.flush()

    def end(self, run: Run, store: Store) -> None:
        """The steps have said it all."""


class _View:
    """Steps as `runs show` prints them.

    Args:
        run: Whose.
        full: Show readings whole.
    """

    def __init__(self, run: Run, *, full: bool) -> None:
        from finetrace.schema import null_hypothesis

        self._run, self._full, self._held = run, full, null_hypothesis()
        self._out = console.results()

    def begin(self, earlier: list[Step]) -> None:
        """Who is at work, and how many steps are left out."""
        from finetrace.cli.transcript import show_head

        show_head(self._out, self._run)
        for step in earlier:
            self._held = step.hypothesis or self._held
        if earlier:
            self._out.print(f"… {len(earlier)} earlier step{'s' if len(earlier) > 1 else ''}")

    def show(self, step: Step) -> None:
        """One step."""
        from finetrace.cli.transcript import show_step

        self._out.print()
        show_step(self._out, step, self._held, full=self._full)
        self._held = step.hypothesis or self._held
        self._out.file.flush()

    def end(self, run: Run, store: Store) -> None:
        """The answer."""
        from finetrace.cli.transcript import show_end

        show_end(self._out, run, store.steps(run.run_id), store.grades([run.run_id]))
