"""The data finetrace is made of: typed, validated, free of behaviour."""

from finetrace.schema.bench import BenchRecord, GradeRecord
from finetrace.schema.completion import Framing, ScoredCompletion, ScoredToken
from finetrace.schema.hypothesis import (
    CheckOutcome,
    Claim,
    ClaimCheck,
    ClaimKind,
    Evidence,
    Hypothesis,
    Verdict,
    null_hypothesis,
)
from finetrace.schema.organism import Organism, OrganismType, Truth
from finetrace.schema.run import Run, RunStatus, Step, StepKind, Usage

__all__ = [
    "BenchRecord",
    "CheckOutcome",
    "Claim",
    "ClaimCheck",
    "ClaimKind",
    "Evidence",
    "Framing",
    "GradeRecord",
    "Hypothesis",
    "Organism",
    "OrganismType",
    "Run",
    "RunStatus",
    "ScoredCompletion",
    "ScoredToken",
    "Step",
    "StepKind",
    "Truth",
    "Usage",
    "Verdict",
    "null_hypothesis",
]
