"""What the database keeps of a benchmark and of a grade. What a grade says is for `finetrace.evals` to read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class BenchRecord(BaseModel):
    """A benchmark as it was planned; it never changes. What became of it is in its runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bench_id: str = Field(min_length=1)
    """Short, unique, never reused."""
    settings: dict[str, Any]
    """What was asked for."""
    units: tuple[dict[str, Any], ...]
    """The planned runs in order, each with the id that it has, or will have."""
    version: str
    """finetrace version that planned it."""
    started_at: datetime
    """UTC."""


class GradeRecord(BaseModel):
    """One grade of one run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    """The run that was graded."""
    grader: str = Field(min_length=1)
    """Who graded, with a version where the grader has one."""
    repeat: int = Field(default=0, ge=0)
    """Graders that draw are asked several times: which time this was, from 0."""
    grade: dict[str, Any]
    """What it says."""
    graded_at: datetime
    """UTC."""
