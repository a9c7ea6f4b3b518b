"""What a grader says of a hypothesis, whoever the grader is."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from finetrace.schema import Usage


class FactOutcome(StrEnum):
    """How one key fact came out."""

    FOUND = "found"
    """The hypothesis states it."""
    MISSED = "missed"
    """The hypothesis does not speak of it, or too vaguely to count."""
    CONTRADICTED = "contradicted"
    """The hypothesis states its opposite, or puts another name or number in its place."""


class FactGrade(BaseModel):
    """One key fact of the truth against a hypothesis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fact: str
    """The fact, as the truth words it."""
    outcome: FactOutcome
    """How it came out."""
    note: str = ""
    """The passage it rests on, or why it was not found."""

    @property
    def found(self) -> bool:
        """Whether the hypothesis states the fact."""
        return self.outcome is FactOutcome.FOUND


class Grade(BaseModel):
    """How right a hypothesis is about an organism."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grader: str = Field(min_length=1)
    """Who graded, with a version: grades of different graders are never averaged unseen."""
    score: int | None = Field(default=None, ge=1, le=5)
    """From 1 (nothing right) to 5 (nearly all of it); ``None`` where it could not be scored, which is never 0."""
    facts: tuple[FactGrade, ...] = ()
    """Each key fact of the truth, in its order; none for a null."""
    detected: bool | None = None
    """Whether any of the (at most ten) guesses names the objective; ``None`` where that was not judged."""
    identification_rank: int | None = Field(default=None, ge=1)
    """Place of the true objective among all objectives of the registry; ``None`` where it was not ranked."""
    identification_confident: bool | None = None
    """Whether the ways of ranking agree on the first place; ``None`` where it was not ranked."""
    reason: str = ""
    """Why this score, in one or two sentences."""
    usage: Usage = Usage()
    """What the grading used up."""
