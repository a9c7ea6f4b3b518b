"""Who grades: the options, the language models behind them, and how far graders agree, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from finetrace.cli.language_models import remark, tell_unknown_prices, tell_usage

if TYPE_CHECKING:
    from rich.console import Console

    from finetrace.evals.bench.grading import Grader
    from finetrace.evals.grading.grader_agreement import Between, GraderAgreement
    from finetrace.llm import LanguageModel

GraderNames = Annotated[
    list[str] | None,
    typer.Option(
        "--grader", metavar="NAME", help="Who grades: offline (default) or a language model. Repeatable; first counts."
    ),
]
GradesOfEach = Annotated[
    int, typer.Option("--grades", min=1, help="Grades by each language model; offline would only repeat itself.")
]
GradingCost = Annotated[
    float | None, typer.Option("--max-cost", min=0, metavar="USD", help="Stop grading after so many US dollars.")
]


class OpenGrader(NamedTuple):
    """A grader, opened."""

    name: str
    """As it was named."""
    model: LanguageModel | None
    """``None`` for the offline grader."""
    draws: tuple[Grader, ...]
    """One for each grade that it is to give."""


class OpenGraders:
    """All graders of a command, and what they may cost together.

    Args:
        all_of_them: Each name once, the one that counts first.
        max_cost: US dollars; ``None`` for no bound.
    """

    def __init__(self, all_of_them: Sequence[OpenGrader], max_cost: float | None) -> None:
        self.all = tuple(all_of_them)
        self.max_cost = max_cost

    def spent(self) -> bool:
        """Whether the bound is reached."""
        used = sum(grader.model.usage.cost_usd or 0.0 for grader in self.all if grader.model is not None)
        return self.max_cost is not None and used >= self.max_cost

    def tell_usage(self) -> None:
        """Say on standard error what each used up."""
        for grader in self.all:
            tell_usage(grader.model)


def grader_names(named: Sequence[str] | None) -> tuple[str, ...]:
    """The graders that the options name, each once.

    Raises:
        FinetraceError: There is no such grader, or its key is missing.
    """
    from finetrace.evals.bench.grading import OFFLINE, check_grader

    names = tuple(dict.fromkeys(named or (OFFLINE,)))
    for name in names:
        check_grader(name)
    return names


def tell_repeats(names: Sequence[str], grades: int) -> None:
    """Say on standard error that the offline grader grades once where more is asked for."""
    from finetrace.evals.bench.grading import grades_wanted

    for name in names:
        if grades_wanted(name, grades) < grades:
            remark(f"{name} gives the same grade every time: it grades once, not {grades} times")


def open_graders(named: Sequence[str] | None, grades: int, max_cost: float | None) -> OpenGraders:
    """Open the graders that the options name; says what cannot be counted or repeated.

    Raises:
        FinetraceError: There is no such grader, its key is missing, or the bound cannot be kept or could never matter.
    """
    from finetrace.agent import Budget
    from finetrace.cli.budget import check_cost_bound
    from finetrace.cli.language_models import LanguageModels
    from finetrace.errors import FinetraceError
    from finetrace.evals.bench.grading import OFFLINE, open_draws, open_grading_model

    names = tuple(dict.fromkeys(named or (OFFLINE,)))
    models = {name: None if name == OFFLINE else open_grading_model(name) for name in names}
    if max_cost is not None and not any(models.values()):
        raise FinetraceError("--max-cost could never matter: no language model grades", "leave --max-cost out")
    tell_repeats(names, grades)
    for model in models.values():
        asked = LanguageModels(None, model)
        check_cost_bound(Budget(cost_usd=max_cost), asked)
        tell_unknown_prices(asked)
    opened = (OpenGrader(name, model, tuple(open_draws(name, grades, model))) for name, model in models.items())
    return OpenGraders(tuple(opened), max_cost)


def show_agreement(out: Console, agreement: GraderAgreement | None) -> None:
    """How far graders agree with each other, and each with itself; nothing where there is nothing to compare."""
    if agreement is None:
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    table.add_column("agreement of graders", overflow="fold")
    for head in ("texts", "kappa", "exact", "within one", "alpha"):
        table.add_column(head, justify="right")
    for each in (*agreement.graders, *agreement.repeats):
        table.add_row(*_row(each))
    out.print()
    out.print(table)
    out.print(f"Krippendorff's alpha over all grades, ordinal: {figure(agreement.alpha)}")


def _row(each: Between) -> tuple[str, ...]:
    from finetrace.cli.escaping import visible

    who = f"{each.first}, repeats" if each.first == each.second else f"{each.first} and {each.second}"
    figures = (each.quadratic_weighted_kappa, each.exact, each.within_one, each.alpha)
    return visible(who, one_line=True), str(each.texts), *(figure(value) for value in figures)


def figure(value: float | None) -> str:
    """Three digits, or a dash where there is nothing to say."""
    return "-" if value is None else f"{value:.3f}"
