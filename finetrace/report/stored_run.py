"""A run as it lies in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetrace.schema import GradeRecord, Run, Step


@dataclass(frozen=True)
class StoredRun:
    """A run with all that belongs to it."""

    run: Run
    steps: Sequence[Step]
    grades: Sequence[GradeRecord] = ()
