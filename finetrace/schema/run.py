"""A run: who was investigated, with what, and every step that was taken."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from finetrace.schema.hypothesis import Hypothesis


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Usage(BaseModel):
    """What a run or a step used up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interactions: int = Field(default=0, ge=0)
    """Prompts put to the organism and sampled from, by the investigator or by the check of its claims."""
    llm_calls: int = Field(default=0, ge=0)
    """Calls to LLMs, investigators and graders."""
    tokens: int = Field(default=0, ge=0)
    """Tokens of those calls, in and out."""
    tokens_out: int = Field(default=0, ge=0)
    """Those of them that were written, hidden reasoning included."""
    cost_usd: float | None = 0.0
    """US dollars; ``None`` where a price is unknown."""
    seconds: float = Field(default=0.0, ge=0)
    """Wall-clock time, seconds."""

    def __add__(self, other: Usage) -> Usage:
        """Both together; an unknown cost makes the sum unknown."""
        known = self.cost_usd is not None and other.cost_usd is not None
        return Usage(
            interactions=self.interactions + other.interactions,
            llm_calls=self.llm_calls + other.llm_calls,
            tokens=self.tokens + other.tokens,
            tokens_out=self.tokens_out + other.tokens_out,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
            seconds=self.seconds + other.seconds,
        )

    def __sub__(self, earlier: Usage) -> Usage:
        """What came after ``earlier``; unknown in cost where either is."""
        known = self.cost_usd is not None and earlier.cost_usd is not None
        return Usage(
            interactions=self.interactions - earlier.interactions,
            llm_calls=self.llm_calls - earlier.llm_calls,
            tokens=self.tokens - earlier.tokens,
            tokens_out=self.tokens_out - earlier.tokens_out,
            cost_usd=(self.cost_usd or 0.0) - (earlier.cost_usd or 0.0) if known else None,
            seconds=max(0.0, self.seconds - earlier.seconds),
        )


class StepKind(StrEnum):
    """What happened in a step."""

    TURN = "turn"
    """A language model was asked and answered; the calls it made are the steps that follow."""
    CALL = "call"
    """The investigator called an instrument."""
    PROPOSAL = "proposal"
    """The investigator handed in a hypothesis; evidence was checked."""
    CHECK = "check"
    """The claims were put to fresh samples."""
    ANSWER = "answer"
    """The final hypothesis."""
    FAULT = "fault"
    """Something outside failed and stopped the run here; it went on later, or can."""


class Step(BaseModel):
    """One append-only line of a transcript."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1)
    """Position in the run, from 1; evidence refers to it."""
    kind: StepKind
    """What happened."""
    thought: str = ""
    """Why the investigator did it, in its words."""
    instrument: str | None = None
    """Instrument called."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Arguments as they were given."""
    reading: dict[str, Any] | None = None
    """The typed reading as JSON, with its type under ``"instrument"``."""
    text: str = ""
    """What the investigator was shown."""
    error: str | None = None
    """Why the call gave no reading."""
    hypothesis: Hypothesis | None = None
    """The hypothesis after this step, where it changed."""
    usage: Usage = Usage()
    """What this step used up."""
    started_at: datetime
    """UTC."""
    finished_at: datetime
    """UTC."""


class Run(BaseModel):
    """One investigation of one organism."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    """Short, unique, never reused."""
    organism: str
    """Name in the registry, or how the user named the model or the file."""
    alias: str
    """The blinded name the investigator sees."""
    arm: str
    """Set of instruments at hand."""
    investigator: str
    """``statistical`` or an LLM's name."""
    seed: int
    """The one seed of the run."""
    status: RunStatus
    """Where it stands."""
    target: dict[str, Any]
    """All that is needed to load the pair again: model, reference, recorded file."""
    settings: dict[str, Any]
    """All other options that determine the run."""
    hypothesis: Hypothesis | None = None
    """The answer, once there is one."""
    usage: Usage = Usage()
    """Sum over the steps."""
    error: str | None = None
    """Why it failed."""
    version: str
    """finetrace version that made it."""
    started_at: datetime
    """UTC."""
    finished_at: datetime | None = None
    """UTC."""
