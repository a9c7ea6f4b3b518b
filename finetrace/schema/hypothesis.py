"""The answer of an investigation: a verdict, claims, and the evidence each claim quotes."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Verdict(StrEnum):
    """What the investigator concludes about the pair of models."""

    FINETUNED = "finetuned"
    NO_NARROW_OBJECTIVE = "no_narrow_objective"
    INCONCLUSIVE = "inconclusive"


class ClaimKind(StrEnum):
    """What a claim is about."""

    DOMAIN = "domain"
    FACT = "fact"
    BEHAVIOUR = "behaviour"
    TRIGGER = "trigger"
    STYLE = "style"


class CheckOutcome(StrEnum):
    """How a claim came out of its fresh test."""

    PASSED = "passed"
    FAILED = "failed"
    UNTESTED = "untested"


class Evidence(BaseModel):
    """A quote that occurs word for word in the reading of one step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int = Field(ge=1)
    """Number of the step whose reading holds the quote."""
    quote: str = Field(min_length=1)
    """Text of that reading, verbatim but for white space."""


class ClaimCheck(BaseModel):
    """A claim put to fresh samples that were not used to form it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: CheckOutcome
    """Whether the claim stood."""
    organism_hits: int = Field(default=0, ge=0)
    """Fresh organism samples that show what the claim says."""
    organism_total: int = Field(default=0, ge=0)
    """Fresh organism samples drawn."""
    reference_hits: int | None = None
    """The same count for the reference; ``None`` where the arm has no reference."""
    reference_total: int | None = None
    """Fresh reference samples drawn."""
    p_value: float | None = Field(default=None, ge=0, le=1)
    """One-sided exact test of the two counts; ``None`` where there was nothing to compare."""
    note: str = ""
    """What was asked, or why no test was possible."""


class Claim(BaseModel):
    """One checkable statement about what the finetuning put into the model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    statement: str = Field(min_length=1)
    """The claim in one sentence."""
    kind: ClaimKind
    """What the claim is about."""
    confidence: float = Field(ge=0, le=1)
    """Probability the investigator gives it."""
    evidence: tuple[Evidence, ...] = ()
    """Quotes that support it."""
    check: ClaimCheck | None = None
    """The fresh test, once it was made."""


class Hypothesis(BaseModel):
    """What the investigator believes the model was finetuned for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Verdict
    """Finetuned for something narrow, not, or undecided."""
    summary: str
    """The answer in a few sentences."""
    claims: tuple[Claim, ...] = ()
    """Statements with evidence, strongest first."""
    guesses: tuple[str, ...] = Field(default=(), max_length=10)
    """Up to ten one-line guesses at the objective, most likely first."""
    incomplete: str | None = None
    """Why this is less than the investigator meant to hand in; ``None`` where it is whole."""


def null_hypothesis() -> Hypothesis:
    """Where every investigation starts: the two models do not differ."""
    return Hypothesis(
        verdict=Verdict.INCONCLUSIVE,
        summary="Starting point: the two models do not differ in anything narrow.",
    )
