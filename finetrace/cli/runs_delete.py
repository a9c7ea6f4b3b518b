"""`finetrace runs delete`: runs out of the store, with all that belongs to them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli import console
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.schema import Run
    from finetrace.store import Store


def delete_runs(
    run_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids or their beginnings.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Delete runs that may still be at work, too.")] = False,
) -> None:
    """Delete runs with their steps, readings, grades and reports. There is no way back; `runs export` makes a copy.

    Cached readings of models stay: they belong to no run.
    """
    from finetrace.agent.checkpoints import forget
    from finetrace.cli.escaping import visible
    from finetrace.report import kept_report
    from finetrace.schema import RunStatus
    from finetrace.settings import get_settings
    from finetrace.store import Store

    with Store() as store:
        runs = list({run.run_id: run for run in map(store.find, run_ids)}.values())
        if not force:
            for run in runs:
                if run.status is RunStatus.RUNNING:
                    raise FinetraceError(
                        f"run {run.run_id} is running, or was killed",
                        "wait for it, or add --force if nothing is at work",
                    )
        _confirm(runs, store, yes)
        for run in runs:
            forget(run.run_id, get_settings().data_dir / "checkpoints.db")
            store.delete_run(run.run_id)
            kept_report(run.run_id).unlink(missing_ok=True)
            console.remarks().print(visible(f"deleted {run.run_id}", one_line=True))


def _confirm(runs: list[Run], store: Store, yes: bool) -> None:
    """Say what will be gone, and ask.

    Raises:
        FinetraceError: Nobody can answer.
    """
    from finetrace.cli.escaping import visible

    if yes:
        return
    out = console.remarks()
    for run in runs:
        counts = f"{len(store.steps(run.run_id))} steps, {len(store.grades([run.run_id]))} grades"
        out.print(visible(f"{run.run_id} · {run.organism} · {run.arm} · {run.investigator}: {counts}", one_line=True))
        if bench := run.settings.get("bench"):
            out.print(f"  part of benchmark {bench}: 'finetrace bench --resume' would make it again")
    if sys.stdin is None or not sys.stdin.isatty():
        raise FinetraceError("deleting is to be confirmed, and nobody can answer here", "add --yes")
    if not typer.confirm(f"delete {len(runs)} run{'s' if len(runs) > 1 else ''}?", default=False, err=True):
        raise typer.Exit()
