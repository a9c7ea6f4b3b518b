"""What a grading language model answers, read strictly: the whole form, or no grade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetrace.agent.call_text import json_values
from finetrace.evals.grading.agreement import HIGHEST, LOWEST
from finetrace.evals.grading.grade import FactOutcome

_SHOWN = 160
"""Characters of a fault that are told."""
_NO_ANSWER = "it holds no JSON object with a score"


class FactAnswer(BaseModel):
    """One key fact."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    number: int = Field(ge=1, strict=True)
    """Its place among the key facts, from 1."""
    passage: str = ""
    """What the report says of it; empty where it says nothing."""
    outcome: FactOutcome
    """How it came out."""


class GraderAnswer(BaseModel):
    """The whole answer."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    facts: tuple[FactAnswer, ...]
    """Each key fact once."""
    reason: str = Field(min_length=1)
    """Why this score."""
    score: int | None = Field(ge=LOWEST, le=HIGHEST, strict=True)
    """``None`` where the grader finds that it cannot be graded."""
    detected: int | None = Field(default=None, ge=1, strict=True)
    """The first guess that names the objective; ``None`` where none does, which has to be said where there are any."""

    @property
    def in_order(self) -> tuple[FactAnswer, ...]:
        """The facts as they are numbered."""
        return tuple(sorted(self.facts, key=lambda fact: fact.number))


class Read(NamedTuple):
    """An answer, or why there is none."""

    answer: GraderAnswer | None
    fault: str = ""
    """Empty where there is an answer."""


def answer_schema(n_facts: int, n_guesses: int) -> dict[str, Any]:
    """The JSON schema of an answer, for providers that hold answers to one.

    Args:
        n_facts: Key facts of the truth.
        n_guesses: Guesses that are listed.
    """
    outcomes = [outcome.value for outcome in FactOutcome]
    fact = {
        "type": "object",
        "properties": {
            "number": _whole(n_facts),
            "passage": {"type": "string"},
            "outcome": {"type": "string", "enum": outcomes},
        },
        "required": ["number", "passage", "outcome"],
        "additionalProperties": False,
    }
    fields: dict[str, Any] = {
        "facts": {"type": "array", "items": fact, "minItems": n_facts, "maxItems": n_facts},
        "reason": {"type": "string"},
        "score": {"anyOf": [_whole(HIGHEST), {"type": "null"}]},
    }
    if n_guesses:
        fields["detected"] = {"anyOf": [_whole(n_guesses), {"type": "null"}]}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _whole(most: int) -> dict[str, Any]:
    """A number from 1; by its ends, for some providers know lists of values for texts alone."""
    return {"type": "integer", "minimum": LOWEST, "maximum": most}


def read_answer(text: str, n_facts: int, n_guesses: int) -> Read:
    """Read an answer. Slips of JSON are borne with; nothing that is missing is made up.

    Args:
        text: What the grader wrote.
        n_facts: Key facts, each of which must be answered once.
        n_guesses: Guesses that may be named.
    """
    found = [value for value in json_values(text) if isinstance(value, Mapping) and "score" in value]
    if not found:
        return Read(None, _NO_ANSWER)
    if any(value != found[0] for value in found[1:]):
        return Read(None, f"it holds {len(found)} different JSON objects with a score")
    try:
        answer = GraderAnswer.model_validate(found[0])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return Read(None, f"{place}: {first['msg']}"[:_SHOWN])
    if n_guesses and "detected" not in answer.model_fields_set:
        return Read(None, "detected is missing")
    numbers = sorted(fact.number for fact in answer.facts)
    if numbers != list(range(1, n_facts + 1)):
        return Read(None, f"facts: there are {n_facts}, each to be answered once, and it answers {numbers}"[:_SHOWN])
    if answer.detected is not None and answer.detected > n_guesses:
        return Read(None, f"detected: there is no guess {answer.detected}, only {n_guesses}")
    return Read(answer)
