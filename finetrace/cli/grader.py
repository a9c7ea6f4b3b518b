"""The option `--grader`: a language model that instruments may ask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli import console
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.llm import LanguageModel
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


def open_grader(name: str | None) -> LanguageModel | None:
    """The language model of that name; says on standard error where its price is unknown.

    Raises:
        FinetraceError: There is none, or its key is missing.
    """
    if name is None:
        return None
    from finetrace.llm import LanguageModel

    model = LanguageModel(name)
    if not model.price_known:
        _remark(f"the price of {name} is unknown: its costs are not counted")
    return model


def tell_usage(grader: LanguageModel | None) -> None:
    """Say on standard error what the grader used up, if it was asked at all."""
    if grader is None or not grader.usage.llm_calls:
        return
    used = grader.usage
    cost = "price unknown" if used.cost_usd is None else f"{used.cost_usd:.4f} US dollars"
    _remark(f"grader {grader.name}: {used.llm_calls} calls, {used.tokens:,} tokens, {cost}")


def _remark(line: str) -> None:
    from finetrace.cli.escaping import visible

    console.remarks().print(visible(line, one_line=True), soft_wrap=True)
