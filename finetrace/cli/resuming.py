"""What `finetrace investigate --resume` takes, and what it refuses because the run has it already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from finetrace.cli.grader import is_on_command_line
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.schema import Run

_OF_A_NEW_RUN = frozenset(
    {
        "arm",
        "corpus",
        "grader",
        "interactions",
        "investigator",
        "max_calls",
        "max_cost",
        "max_seconds",
        "max_tokens",
        "max_tokens_out",
        "merge",
        "one_at_a_time",
        "prefills",
        "quick",
        "runs",
        "seed",
    }
)
"""Options that a run keeps from its beginning to its end."""


def check_resumable(
    run: Run, organism: str | None, model: str | None, recorded: Path | None, reference: str | None
) -> None:
    """Make sure that what was named beside a run is what the run is about.

    Raises:
        FinetraceError: It is something else.
    """
    named = organism or model or (str(recorded) if recorded else None)
    if named is not None and named != run.organism:
        raise FinetraceError(
            f"run {run.run_id} is about {run.organism}, not {named}", f"leave {named} out, or start a new run"
        )
    if reference is not None and reference != run.target.get("reference"):
        raise FinetraceError(
            f"run {run.run_id} does not compare with {reference}", "leave --reference out, or start a new run"
        )


def check_left_out(run: Run, context: typer.Context) -> None:
    """Refuse options that only a new run can have; a resumed run goes on as it was begun.

    Raises:
        FinetraceError: One was typed.
    """
    given = [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if parameter.name in _OF_A_NEW_RUN and is_on_command_line(context, parameter.name)
    ]
    if given:
        raise FinetraceError(
            f"run {run.run_id} has its options already", f"leave {' and '.join(given)} out, or start a new run"
        )
