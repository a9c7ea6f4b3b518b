"""What a run may use up: the options, and which of them could never matter."""

from __future__ import annotations

import json
import math
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli.grader import is_on_command_line
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.agent import Budget
    from finetrace.cli.language_models import LanguageModels


def _finite(value: float | None) -> float | None:
    """Refuse what is a number to Python and no bound to anyone: nan, inf."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no bound")
    return value


Interactions = Annotated[int | None, typer.Option(min=0, help="How often the organism may be asked; default by arm.")]
MaxSeconds = Annotated[
    float | None, typer.Option(min=0, callback=_finite, help="Ask for the answer after so many seconds.")
]
MaxCost = Annotated[
    float | None, typer.Option(min=0, callback=_finite, help="Ask for the answer after so many US dollars.")
]
MaxCalls = Annotated[int | None, typer.Option(min=0, help="Ask for the answer after so many calls of LLMs.")]
MaxTokens = Annotated[int | None, typer.Option(min=0, help="Ask for the answer after so many tokens of LLMs.")]
MaxTokensOut = Annotated[
    int | None, typer.Option(min=0, help="Ask for the answer after so many tokens that LLMs wrote; reading is free.")
]

_OF_LLMS = {
    "llm_calls": "max_calls",
    "tokens": "max_tokens",
    "tokens_out": "max_tokens_out",
    "cost_usd": "max_cost",
}
"""Bounds that only language models come near, and their options."""


def matching_bounds(budget: Budget, models: LanguageModels, context: typer.Context) -> Budget:
    """The budget without bounds that nothing in this run could reach.

    Args:
        budget: As the options and the environment give it.
        models: Language models that the run may ask.
        context: Where each option came from.

    Raises:
        FinetraceError: Such a bound was typed.
    """
    if models.all:
        return budget
    typed = [f"--{name.replace('_', '-')}" for name in _OF_LLMS.values() if is_on_command_line(context, name)]
    if typed:
        raise FinetraceError(
            f"{' and '.join(typed)} could never matter: this run asks no language model",
            f"leave {' and '.join(typed)} out, or name a model with --investigator",
        )
    return budget.model_copy(update=dict.fromkeys(_OF_LLMS))


def check_cost_bound(budget: Budget, models: LanguageModels) -> None:
    """Make sure that a bound in US dollars can be kept.

    Raises:
        FinetraceError: A price is unknown.
    """
    unknown = [model.name for model in models.all if model.price is None]
    if budget.cost_usd is None or not unknown:
        return
    prices = json.dumps({name: {"input": 0, "output": 0} for name in unknown})
    raise FinetraceError(
        f"--max-cost cannot be kept: the price of {' and of '.join(unknown)} is unknown",
        f"set FINETRACE_LLM_PRICES={shlex.quote(prices)} with US dollars per million tokens, or leave --max-cost out",
    )
