"""The protocol of investigators, and all that one gets to see of a case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from finetrace.agent.budget import Budget
from finetrace.agent.decision import Submit, ToolCall
from finetrace.agent.turns import Turn
from finetrace.llm import LanguageModel
from finetrace.schema import Claim, Hypothesis, Step, Usage


class Thoroughness(BaseModel):
    """How much to measure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quick: bool = False
    """A look in well under a minute instead of a thorough one."""
    corpora: tuple[str, ...] | None = None
    """General text for the perplexity gap; default the instrument's own."""
    n_prefills: int | None = Field(default=None, ge=1, le=100_000)
    """Prefills for the perplexity gap; default by ``quick``."""


@dataclass(frozen=True)
class Offer:
    """An instrument the arm has and the pair allows."""

    name: str
    purpose: str


@dataclass(frozen=True)
class Case:
    """What an investigator knows when it decides. The organism's name and truth are not in it."""

    alias: str
    """Blinded name of the organism."""
    offers: tuple[Offer, ...]
    """Instruments at hand."""
    absent: tuple[str, ...]
    """Instruments of the arm that this pair cannot serve."""
    steps: tuple[Step, ...]
    """Everything done so far, with readings."""
    hypothesis: Hypothesis
    """As it stands."""
    budget: Budget
    usage: Usage
    seed: int
    thoroughness: Thoroughness
    has_reference: bool = True
    """Whether instruments can compare with a reference."""
    must_answer: str | None = None
    """Why only an answer is taken now, where that is so."""
    complaints: tuple[str, ...] = ()
    """What was wrong with the hypothesis last handed in."""
    briefing: str | None = None
    """What a language model is told at the beginning in place of the arm's overview."""
    merged: tuple[Claim, ...] = ()
    """Claims of other investigations, quoting steps of this one; the review asks after each that was left out."""

    def offers_instrument(self, name: str) -> bool:
        """Whether an instrument is at hand."""
        return any(offer.name == name for offer in self.offers)


class Investigator(Protocol):
    """Something that decides."""

    name: str
    """``statistical``, or an LLM's name."""

    @property
    def model(self) -> LanguageModel | None:
        """Whom it asks; its ledger is the run's."""

    def decide(self, case: Case) -> ToolCall | Submit | Turn:
        """The next move; or what a language model answered, to be written down before it is asked for the next move.

        Raises:
            FinetraceError: The language model gives no answer; the run can be resumed.
        """
