"""The option `--grader`: a language model that instruments may ask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.tools import Instrument

GraderOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        envvar="FINETRACE_GRADER",
        help="A language model that instruments may ask, such as openai/gpt-5-mini; default rules instead.",
    ),
]


def is_on_command_line(context: typer.Context, name: str) -> bool:
    """Whether an option was typed: a variable of the environment is meant for every command."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def wanted_grader(name: str | None, instruments: Iterable[Instrument], who: str, context: typer.Context) -> str | None:
    """The name where one of the instruments would ask it, else ``None``.

    Args:
        name: As the option or the environment gives it.
        instruments: Those that will be at hand.
        who: What they are, as in "the arm blackbox".
        context: Where the option came from.

    Raises:
        FinetraceError: It was typed, and nobody would ask it.
    """
    from finetrace.tools import uses_grader

    if name is None or any(uses_grader(instrument) for instrument in instruments):
        return name
    if is_on_command_line(context, "grader"):
        raise FinetraceError(f"{who} asks no grader", "leave --grader out")
    return None
