"""The language models of a run: opened, with a word where a price is unknown, and what they used up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from finetrace.cli import console

if TYPE_CHECKING:
    from finetrace.llm import LanguageModel


class LanguageModels(NamedTuple):
    """Whom a run may ask."""

    investigator: LanguageModel | None
    """Who decides; ``None`` where no language model does."""
    grader: LanguageModel | None
    """Whom instruments may ask."""

    @property
    def all(self) -> tuple[LanguageModel, ...]:
        """Each name once."""
        return tuple({model.name: model for model in self if model is not None}.values())


def open_language_models(investigator: str, grader: str | None) -> LanguageModels:
    """Open those of a run.

    Raises:
        FinetraceError: No provider goes by a name, or a key is missing.
    """
    from finetrace.agent.statistical import STATISTICAL
    from finetrace.llm import LanguageModel

    decides = None if investigator == STATISTICAL else LanguageModel(investigator)
    return LanguageModels(decides, None if grader is None else LanguageModel(grader))


def open_grader(name: str | None) -> LanguageModel | None:
    """The language model of that name; says on standard error where its price is unknown.

    Raises:
        FinetraceError: There is none, or its key is missing.
    """
    from finetrace.llm import LanguageModel

    models = LanguageModels(None, None if name is None else LanguageModel(name))
    tell_unknown_prices(models)
    return models.grader


def tell_unknown_prices(models: LanguageModels) -> None:
    """Say on standard error whose costs will not be counted, each name once."""
    for model in models.all:
        if model.price is None:
            remark(f"the price of {model.name} is unknown: its costs are not counted (FINETRACE_LLM_PRICES sets one)")


def tell_usage(grader: LanguageModel | None) -> None:
    """Say on standard error what the grader used up, if it was asked at all."""
    if grader is None or not grader.usage.llm_calls:
        return
    used = grader.usage
    cost = "price unknown" if used.cost_usd is None else f"{used.cost_usd:.4f} US dollars"
    remark(f"grader {grader.name}: {used.llm_calls} calls, {used.tokens:,} tokens, {cost}")


def remark(line: str) -> None:
    """One line on standard error."""
    from finetrace.cli.escaping import visible

    console.remarks().print(visible(line, one_line=True), soft_wrap=True)
