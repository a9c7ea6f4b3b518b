"""The data finetrace is made of: typed, validated, free of behaviour."""

from finetrace.schema.completion import Framing, ScoredCompletion
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

__all__ = [
    "CheckOutcome",
    "Claim",
    "ClaimCheck",
    "ClaimKind",
    "Evidence",
    "Framing",
    "Hypothesis",
    "ScoredCompletion",
    "Verdict",
    "null_hypothesis",
]
