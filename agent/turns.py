"""Turns: what a language model was asked and answered, one step of the transcript each."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from finetrace.schema import Step, StepKind, Usage


class Purpose(StrEnum):
    """What a language model was asked for."""

    DECIDE = "decide"
    """The next move."""
    REFUTE = "refute"
    """Objections to the claims, in a context of its own."""


class Calling(StrEnum):
    """How a language model says what it wants to call."""

    TOOLS = "tools"
    """Native tool calls."""
    SCHEMA = "schema"
    """JSON that the provider holds to a schema."""
    TEXT = "text"
    """JSON in plain text."""


class Use(BaseModel):
    """One call as the model wrote it; nothing of it is checked yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """The provider's name for it, unique in its turn."""
    name: str
    """What it calls."""
    arguments: str
    """JSON, mostly."""


class Turn(BaseModel):
    """An answer of a language model. It is written down before anything is done about it, so it is paid for once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["turn"] = "turn"
    purpose: Purpose = Purpose.DECIDE
    """What it was asked for."""
    model: str
    """Who answered; empty where nobody had to be asked."""
    calling: Calling
    """How it could call."""
    shown: str = ""
    """What it was told beyond earlier steps: prompt, status, complaints, review."""
    text: str = ""
    """What it wrote, its calls left out where they are native."""
    uses: tuple[Use, ...] = ()
    """Its native calls, in order."""
    finish: str = "stop"
    """Why the answer ends there, in the provider's word."""
    shortened: int = Field(default=0, ge=0)
    """How far the dialogue was shortened to fit into the model's window; 0 is not at all."""
    characters: int = Field(default=0, ge=0)
    """Length of the request."""
    tokens_in: int = Field(default=0, ge=0)
    """The same in tokens, as the provider counted; 0 where it does not say."""


def turn_of(step: Step) -> Turn | None:
    """The turn a step holds; ``None`` for other steps."""
    if step.kind is not StepKind.TURN or step.reading is None:
        return None
    return Turn.model_validate(step.reading)


def dearest_turn(steps: Sequence[Step]) -> Usage:
    """What the dearest turn so far took, each count by itself; nothing before the first."""
    taken = [step.usage for step in steps if step.kind is StepKind.TURN]
    prices = [usage.cost_usd for usage in taken]
    return Usage(
        llm_calls=max((usage.llm_calls for usage in taken), default=0),
        tokens=max((usage.tokens for usage in taken), default=0),
        tokens_out=max((usage.tokens_out for usage in taken), default=0),
        cost_usd=None if None in prices else max((price for price in prices if price is not None), default=0.0),
        seconds=max((usage.seconds for usage in taken), default=0.0),
    )
