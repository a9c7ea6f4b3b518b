"""What an investigation by a language model will take, said before it begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from finetrace.cli.language_models import remark

if TYPE_CHECKING:
    from finetrace.agent import Budget, Plan
    from finetrace.cli.language_models import LanguageModels
    from finetrace.models import ModelPair

_BOUNDS = {
    "llm_calls": "max-calls",
    "tokens": "max-tokens",
    "tokens_out": "max-tokens-out",
    "cost_usd": "max-cost",
    "seconds": "max-seconds",
}


class Estimated(NamedTuple):
    """Plans with what each will take, and with which instruments, among their settings."""

    plan: Plan
    """Of each run."""
    merging: Plan
    """Of the run that merges them, where one does."""


def tell_estimate(
    plan: Plan, models: LanguageModels, pair: ModelPair, runs: int = 1, *, merge: bool = False
) -> Estimated:
    """Say on standard error what the investigator will take.

    Args:
        plan: Of each run.
        models: Whom it may ask; nothing is said where no language model decides.
        pair: Decides which instruments are at hand.
        runs: How many.
        merge: Whether a further run merges them.
    """
    if models.investigator is None:
        return Estimated(plan, plan)
    from finetrace.agent.estimate import at_hand, estimate, estimate_merge, size_of
    from finetrace.agent.run_conduct import OFFERED

    asked = models.investigator
    size = size_of(plan.arm, pair, asked.window)
    one = estimate(size, plan.budget, asked.price)
    merging = estimate_merge(runs, size, plan.budget, asked.price)
    whole = one.times(runs) + merging if merge else one.times(runs)
    remark(f"estimate{_for(runs, merge)}: {whole}{_bounded(plan.budget, runs)}")
    settings = {**plan.settings, OFFERED: [instrument.name for instrument in at_hand(plan.arm, pair)]}
    plans = (replace(plan, settings={**settings, "estimate": e.model_dump(mode="json")}) for e in (one, merging))
    return Estimated(*plans)


def _for(runs: int, merge: bool) -> str:
    """`` for 3 runs and their merging``; nothing for one run."""
    return "" if runs == 1 else f" for {runs} runs{' and their merging' if merge else ''}"


def _bounded(budget: Budget, runs: int) -> str:
    """``; bounded by --max-cost 2``, where it is."""
    bounds = [
        f"--{option} {value:g}" for name, option in _BOUNDS.items() if (value := getattr(budget, name)) is not None
    ]
    if not bounds:
        return ""
    return f"; {'each run ' if runs > 1 else ''}bounded by {' and '.join(bounds)}"
