"""What the options of `finetrace investigate` ask for, as a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from finetrace.cli.budget import check_cost_bound, matching_bounds
from finetrace.cli.grader import wanted_grader
from finetrace.cli.language_models import open_language_models
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.agent import Budget, Plan, Thoroughness
    from finetrace.cli.language_models import LanguageModels
    from finetrace.cli.target import Named


class Planned(NamedTuple):
    """A plan, and whom its run may ask."""

    plan: Plan
    models: LanguageModels


def make_plan(
    named: Named,
    arm: str,
    investigator: str,
    grader: str | None,
    seed: int,
    budget: Budget,
    thoroughness: Thoroughness,
    context: typer.Context,
) -> Planned:
    """What the options ask for, with the defaults of the arm.

    Raises:
        FinetraceError: Something asked for does not exist, lacks its key, or could never matter.
    """
    from finetrace.agent import Plan, find_arm, make_investigator
    from finetrace.tools import find_instrument
    from finetrace.tools.corpora import check_corpus

    chosen = find_arm(arm or _default_arm(named))
    make_investigator(investigator)
    for spec in thoroughness.corpora or ():
        check_corpus(spec)
    wanted = wanted_grader(grader, map(find_instrument, chosen.instruments), f"the arm {chosen.name}", context)
    models = open_language_models(investigator, wanted)
    budget = matching_bounds(budget, models, context)
    check_cost_bound(budget, models)
    if budget.interactions is None:
        budget = budget.model_copy(update={"interactions": chosen.interactions})
    plan = Plan(
        organism=named.organism,
        alias=named.alias,
        target=named.target,
        arm=chosen.name,
        investigator=investigator,
        seed=seed,
        budget=budget,
        thoroughness=thoroughness,
        grader=wanted,
    )
    return Planned(plan, models)


def check_several(investigator: str, runs: int, *, merge: bool) -> None:
    """Make sure that there is something to merge, and somebody who can.

    Raises:
        FinetraceError: There is not.
    """
    from finetrace.agent.statistical import STATISTICAL

    if merge and runs < 2:
        raise FinetraceError("--merge has nothing to merge", "add --runs 3, or leave --merge out")
    if merge and investigator == STATISTICAL:
        raise FinetraceError(
            f"the {STATISTICAL} investigator cannot merge answers",
            "name a language model, as in --investigator openai/gpt-5, or leave --merge out",
        )


def _default_arm(named: Named) -> str:
    """The perplexity gap where it can be had, plain questions where there is no reference."""
    from finetrace.models.source import SourceKind, find_model

    target = named.target
    if target.recorded is not None or target.reference is not None:
        return "perplexity"
    source = find_model(target.model or "", Path(target.folder) if target.folder else None)
    return "perplexity" if source.kind is SourceKind.ADAPTER else "blackbox"
