"""What can be kept of a submission that is malformed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from finetrace.agent.loose_fields import listed, listed_words, member_of, share_of
from finetrace.agent.loose_json import read_whole
from finetrace.agent.submission_form import MOST_CLAIMS, MOST_GUESSES, ClaimedStatement, Quote, Submission
from finetrace.schema import ClaimKind, Verdict

Model = TypeVar("Model", bound=BaseModel)

_WRAPPERS = ("calls", "tool_calls", "function", "arguments", "parameters", "args", "input", "submit_hypothesis")
_DEEPEST = 6
_MOST_ITEMS = 100
_SURE = {"certain": 0.95, "very high": 0.9, "high": 0.8, "medium": 0.5, "moderate": 0.5, "low": 0.2, "very low": 0.1}
_UNSAID = 0.5
"""Confidence of a claim that does not say its own."""


def salvage(raw: Any) -> Submission | None:
    """The valid part of a malformed submission; ``None`` where nothing in it says what was found.

    Claims need a statement and a quote with a step. A verdict that cannot be read, or says ``finetuned`` without a
    claim that is left, becomes ``inconclusive``; so nothing is made up that was not handed in.

    Args:
        raw: The arguments as a JSON value or text, or the call around them.
    """
    given = _given(raw)
    if given is None:
        return None
    claims = tuple(filter(None, map(_claim, _items(given.get("claims")))))[:MOST_CLAIMS]
    guesses = tuple(filter(None, map(_text, _items(given.get("guesses")))))[:MOST_GUESSES]
    summary = _text(given.get("summary"))
    verdict = member_of(given.get("verdict"), Verdict)
    read = verdict if isinstance(verdict, Verdict) else None
    if not (claims or guesses or summary) and read is None:
        return None
    if read is None or (read is Verdict.FINETUNED and not claims):
        read = Verdict.INCONCLUSIVE
    said = summary or " ".join(claim.statement for claim in claims[:3]) or "No summary was handed in."
    return Submission(verdict=read, summary=said, claims=claims, guesses=guesses)


def _given(raw: Any, depth: int = 0) -> Mapping[str, Any] | None:
    """The object with a submission's fields, however it is wrapped."""
    if depth == _DEEPEST:
        return None
    if isinstance(raw, str):
        return _given(read_whole(raw), depth + 1)
    if isinstance(raw, list):
        return next((found for item in raw[:_MOST_ITEMS] if (found := _given(item, depth + 1)) is not None), None)
    if not isinstance(raw, Mapping):
        return None
    if any(field in raw for field in Submission.model_fields):
        return raw
    return next((found for key in _WRAPPERS if (found := _given(raw.get(key), depth + 1)) is not None), None)


def _items(value: Any) -> list[Any]:
    found = listed(value)
    return found[:_MOST_ITEMS] if isinstance(found, list) else []


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _claim(value: Any) -> ClaimedStatement | None:
    if not isinstance(value, Mapping):
        return None
    words = listed_words(value.get("shown_by"))
    kind = member_of(value.get("kind"), ClaimKind)
    return _valid(
        ClaimedStatement,
        {
            "statement": value.get("statement"),
            "kind": kind if isinstance(kind, ClaimKind) else ClaimKind.BEHAVIOUR,
            "confidence": _confidence(value.get("confidence")),
            "evidence": tuple(filter(None, map(_quote, _items(value.get("evidence"))))),
            "shown_by": tuple(filter(None, map(_text, words if isinstance(words, list) else ()))),
        },
    )


def _quote(value: Any) -> Quote | None:
    if not isinstance(value, Mapping):
        return None
    return _valid(Quote, {"step": value.get("step"), "quote": value.get("quote")})


def _confidence(value: Any) -> float:
    if isinstance(value, str) and (word := value.strip().lower()) in _SURE:
        return _SURE[word]
    try:
        share = float(share_of(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return _UNSAID
    return share if 0 <= share <= 1 else _UNSAID


def _valid(model: type[Model], given: Mapping[str, Any]) -> Model | None:
    try:
        return model.model_validate(given)
    except ValidationError:
        return None
