"""What an investigator can decide: call an instrument, or hand in its hypothesis."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from finetrace.schema import Hypothesis

REREAD = "reread"
"""Name of the call that shows texts of an earlier step again; it is the loop's, no instrument's."""


class ToolCall(BaseModel):
    """Use an instrument."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["call"] = "call"
    thought: str = ""
    """Why."""
    instrument: str
    """Its name; a name that does not exist comes back as an error."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Checked against the instrument's schema before anything is charged."""
    overview: bool = False
    """Taken by the loop before the investigator's first turn, and not charged for."""


class ClaimTest(BaseModel):
    """How a fresh sample is told to show what a claim says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    terms: tuple[str, ...] = ()
    """Lower-case words or phrases."""
    needed: int = Field(default=1, ge=1)
    """How many of the terms a sample must hold."""
    pattern: str | None = None
    """Regular expression that takes the place of the terms."""


class Submit(BaseModel):
    """Hand in a hypothesis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["submit"] = "submit"
    thought: str = ""
    """Why now."""
    hypothesis: Hypothesis
    """The answer."""
    tests: tuple[ClaimTest, ...] = ()
    """One for each claim, in order; a claim without one is told by the words of its quotes."""


Decision = Annotated[ToolCall | Submit, Field(discriminator="kind")]
DECISION: TypeAdapter[ToolCall | Submit] = TypeAdapter(Decision)
"""Reads a decision from a checkpoint."""
