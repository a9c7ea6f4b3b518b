"""The unit of work of a benchmark, as plain data: whatever runs it needs nothing else but the store and the models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from finetrace.agent import Budget, Plan, Thoroughness
from finetrace.agent.arms import OWN_ARM
from finetrace.models import Target

BENCH = "bench"
"""Setting of a run: the benchmark it belongs to."""


class Unit(BaseModel):
    """One run of a benchmark. Its id is fixed before it begins, so that it is never made twice."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(min_length=1)
    """Id that the run has, or will have."""
    bench_id: str
    """The benchmark it belongs to."""
    organism: str
    """Full name in the registry."""
    alias: str
    """Blinded name."""
    target: Target
    """What to load."""
    arm: str
    """One of `finetrace.agent.ARMS`, with or without a number of interactions, or the name of an own arm."""
    instruments: tuple[str, ...] | None = None
    """Of an own arm."""
    investigator: str
    """Who decides."""
    seed: int = Field(ge=0)
    """The one seed of the run."""
    budget: Budget
    """What it may use up; organism interactions included."""
    thoroughness: Thoroughness = Thoroughness()
    """How much to measure."""
    grader: str | None = None
    """Name of the language model that instruments may ask."""

    def plan(self) -> Plan:
        """The same as the agent takes it."""
        settings: dict[str, Any] = {BENCH: self.bench_id}
        if self.instruments is not None:
            settings[OWN_ARM] = list(self.instruments)
        return Plan(
            organism=self.organism,
            alias=self.alias,
            target=self.target,
            arm=self.arm,
            investigator=self.investigator,
            seed=self.seed,
            budget=self.budget,
            thoroughness=self.thoroughness,
            grader=self.grader,
            settings=settings,
        )


class Batch(BaseModel):
    """All units of one organism: its models are loaded once for them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organism: str
    """Full name in the registry."""
    registry: str
    """The organisms file, absolute; only grading reads the truth in it."""
    units: tuple[Unit, ...] = Field(min_length=1)
    """In the order of the plan."""
    judges: tuple[str, ...] = Field(min_length=1)
    """Who grades: ``offline``, or names of language models."""
    grades: int = Field(default=1, ge=1)
    """Grades of each run by each language model that grades."""
    overlap: int = Field(default=4, ge=1)
    """Runs, or grades, that may wait for a language model at the same time."""
