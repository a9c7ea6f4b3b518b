"""The workbench: all that the loop's nodes work with, and the case it puts before an investigator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetrace.agent.arms import Arm
from finetrace.agent.budget import Budget
from finetrace.agent.investigator import Case, Investigator, Offer, Thoroughness
from finetrace.agent.transcript import Transcript, total_usage
from finetrace.agent.turns import dearest_turn
from finetrace.llm import LanguageModel
from finetrace.models.pair import Capability, ModelPair
from finetrace.schema import Hypothesis, Step, StepKind, Usage, null_hypothesis
from finetrace.tools import INSTRUMENTS, Context, available, purpose

MAX_REPEATS = 3
"""Calls in a row that were all made before, after which only an answer is taken."""
REPEATED = "this is the call of step"
"""How the refusal of a call begins that was made before."""
MAX_STEPS = 100
"""Steps after which only an answer is taken."""


@dataclass(frozen=True)
class Workbench:
    """All that the nodes work with; none of it is in the checkpoint."""

    pair: ModelPair
    """What the arm allows of the models."""
    arm: Arm
    alias: str
    investigator: Investigator
    budget: Budget
    thoroughness: Thoroughness
    context: Context
    transcript: Transcript
    briefing: str | None = None
    """What a language model is told at the beginning in place of the arm's overview."""

    def spent(self) -> Usage:
        """What language models used up in this process: the investigator's and the grader."""
        asked = {id(model): model for model in (self.investigator.model, self.context.grader)}
        return sum((model.usage for model in asked.values() if isinstance(model, LanguageModel)), Usage())

    def case(self, number: int, complaints: Sequence[str] = ()) -> Case:
        """What the investigator sees after step ``number``, whatever was appended after it before a crash."""
        names = self.arm.instruments
        steps = self.transcript.steps[:number]
        return Case(
            alias=self.alias,
            offers=tuple(
                Offer(name, purpose(INSTRUMENTS[name])) for name in names if available(INSTRUMENTS[name], self.pair)
            ),
            absent=tuple(name for name in names if not available(INSTRUMENTS[name], self.pair)),
            steps=tuple(steps),
            hypothesis=latest_hypothesis(steps),
            budget=self.budget,
            usage=total_usage(steps),
            seed=self.context.seed,
            has_reference=Capability.REFERENCE in self.pair.capabilities,
            thoroughness=self.thoroughness,
            must_answer=only_answer(self.budget, steps, asks=self.investigator.model is not None),
            complaints=tuple(complaints),
            briefing=self.briefing,
        )


def only_answer(budget: Budget, steps: Sequence[Step], *, asks: bool) -> str | None:
    """Why after these steps only an answer is taken; ``None`` where more may be asked.

    Args:
        budget: Bounds of the run.
        steps: All so far.
        asks: Whether a language model decides, whose answer takes a request as well.
    """
    if (reason := out_of_budget(budget, steps, asks=asks)) is not None:
        return reason
    if len(steps) >= MAX_STEPS:
        return f"{MAX_STEPS} steps were taken"
    calls = [step for step in steps if step.kind is StepKind.CALL][-MAX_REPEATS:]
    repeated = sum((step.error or "").startswith(REPEATED) for step in calls)
    return f"the last {repeated} calls were made before" if repeated == MAX_REPEATS else None


def out_of_budget(budget: Budget, steps: Sequence[Step], *, asks: bool) -> str | None:
    """Which bound leaves room for no more than an answer; ``None`` where none does. Arguments as `only_answer`."""
    turns = [step for step in steps if step.kind is StepKind.TURN and step.usage.llm_calls]
    ahead = dearest_turn(steps) if turns or not asks else Usage(llm_calls=1)
    if (reason := budget.exhausted(total_usage(steps), ahead)) is not None:
        return reason
    bound = budget.tokens if budget.tokens_out is None else budget.tokens_out
    if bound is not None and any(not step.usage.tokens for step in turns):
        return f"what was used of the budget of {bound} tokens is unknown: the provider did not count"
    return None


def latest_hypothesis(steps: Sequence[Step]) -> Hypothesis:
    """As the last step that changed it left it; before any did, the null hypothesis."""
    held = [step.hypothesis for step in steps if step.hypothesis is not None]
    return held[-1] if held else null_hypothesis()
