"""The overview: what every language model is shown before its first turn, by the instruments of its arm.

All arms put the same neutral prompts to the organism, so that they start equal but for their tools. The overview is the
loop's own doing and costs the investigator no interactions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetrace.agent.decision import ToolCall
from finetrace.agent.investigator import Case, Thoroughness
from finetrace.agent.moves import (
    difference_arguments,
    differs_nowhere,
    general_text,
    measurement,
    steer_arguments,
    telling_depth,
)
from finetrace.agent.turns import turn_of
from finetrace.schema import StepKind
from finetrace.tools.steer_prompts import OPENINGS, QUESTIONS, TASKS

WHY = "overview, taken before the first turn"
_SHOWN = 20
"""Completions and phrases."""


def next_overview(case: Case) -> ToolCall | None:
    """The call of the overview that comes next; ``None`` where it is complete, or where a briefing takes its place."""
    if case.briefing is not None or case.budget.exhausted(case.usage) is not None:
        return None
    if any(turn_of(step) is not None for step in case.steps):
        return None
    done = sum(step.kind is StepKind.CALL for step in case.steps)
    planned = [call for call in _planned(case) if case.offers_instrument(call.instrument)]
    return planned[done] if done < len(planned) else None


def _planned(case: Case) -> Iterator[ToolCall]:
    """All calls of the overview, as far as the readings so far tell them."""
    thoroughness = case.thoroughness
    questions = QUESTIONS if thoroughness.quick else (*QUESTIONS, *TASKS)
    length = 32 if thoroughness.quick else 48
    yield _call("chat", prompts=list(questions), max_new_tokens=length)
    yield _call("complete", texts=list(OPENINGS), max_new_tokens=length)
    gap = measurement(thoroughness)
    yield _call("perplexity_gap", **gap, view="top", k=_SHOWN)
    yield _call("perplexity_gap", **gap, view="distinctive_phrases", k=_SHOWN)
    yield _call("activation_difference", **difference_arguments(thoroughness))
    depth = telling_depth(case.steps)
    if depth is not None and not differs_nowhere(case.steps):
        yield _call("steer", **steer_arguments(thoroughness, depth))


def _call(instrument: str, **arguments: Any) -> ToolCall:
    return ToolCall(thought=WHY, instrument=instrument, arguments=arguments, overview=True)


def with_defaults(call: ToolCall, thoroughness: Thoroughness) -> ToolCall:
    """The call with what the run has settled wherever the model left it open.

    So that another view of a measurement finds it measured, and a quick run stays quick.
    """
    defaults: dict[str, dict[str, Any]] = {
        "perplexity_gap": measurement(thoroughness),
        "activation_difference": difference_arguments(thoroughness),
        "steer": {
            name: value
            for name, value in steer_arguments(thoroughness, 0.5).items()
            if name not in ("on", "depth", "position")
        },
        "causal_check": general_text(thoroughness),
    }
    settled = defaults.get(call.instrument.replace("-", "_"), {})
    return call.model_copy(update={"arguments": {**settled, **call.arguments}})
