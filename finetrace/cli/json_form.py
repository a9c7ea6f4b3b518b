"""Runs as the JSON objects that are promised to users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.agent.conduct import Conduct
    from finetrace.schema import GradeRecord, Hypothesis, Run, Step


def run_json(run: Run, grades: Sequence[GradeRecord] = ()) -> dict[str, Any]:
    """What ``investigate --json`` prints: the answer, what it cost, and its grade.

    Args:
        run: Ended or not.
        grades: Its grades, the oldest first; the latest is shown.
    """
    return {
        "run_id": run.run_id,
        "organism": run.organism,
        "arm": run.arm,
        "investigator": run.investigator,
        "seed": run.seed,
        "status": run.status.value,
        "hypothesis": None if run.hypothesis is None else _hypothesis_json(run.hypothesis),
        "usage": run.usage.model_dump(mode="json"),
        "grade": grade_json(grades[-1].grade) if grades else None,
    }


def grade_json(grade: Mapping[str, Any]) -> dict[str, Any]:
    """A grade in the promised keys; a fact's outcome tells a contradicted one from a missed one."""
    facts = grade.get("facts") or ()
    return {
        "score": grade.get("score"),
        "facts": [
            {"fact": each["fact"], "found": each["outcome"] == "found", "outcome": each["outcome"]} for each in facts
        ],
        "detected": grade.get("detected"),
        "identification_rank": grade.get("identification_rank"),
        "grader": grade.get("grader"),
    }


def full_run_json(run: Run, steps: Sequence[Step], grades: Sequence[GradeRecord] = ()) -> dict[str, Any]:
    """What ``runs show --json`` prints: the same keys, all that is known besides, every step, and the conduct."""
    known = run.model_dump(mode="json")
    conduct = read_conduct(run, steps)
    return (
        run_json(run, grades)
        | known
        | {
            "steps": [step.model_dump(mode="json") for step in steps],
            "conduct": None if conduct is None else conduct.model_dump(mode="json"),
        }
    )


def read_conduct(run: Run, steps: Sequence[Step]) -> Conduct | None:
    """What a language model did in a run; ``None`` where none was asked, or this release cannot read its turns."""
    from finetrace.schema import StepKind

    if not any(step.kind is StepKind.TURN for step in steps):
        return None  # the rest takes seconds: it brings the agent with it
    from pydantic import ValidationError

    from finetrace.agent.run_conduct import conduct_of_run

    try:
        return conduct_of_run(run, steps)
    except (ValidationError, FinetraceError):
        return None


def _hypothesis_json(hypothesis: Hypothesis) -> dict[str, Any]:
    """The answer in the promised keys only."""
    return {
        "verdict": hypothesis.verdict.value,
        "summary": hypothesis.summary,
        "claims": [
            {
                "statement": claim.statement,
                "kind": claim.kind.value,
                "confidence": claim.confidence,
                "evidence": [{"step": item.step, "quote": item.quote} for item in claim.evidence],
            }
            for claim in hypothesis.claims
        ],
        "guesses": list(hypothesis.guesses),
    }
