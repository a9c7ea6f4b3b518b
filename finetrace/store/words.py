"""What of a step can be searched: three kinds of text, the same whatever the database."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from finetrace.schema import Step, StepKind


class Place(StrEnum):
    """Where in a step a text stands."""

    SAID = "said"
    """What the investigator thought, called and claimed."""
    SHOWN = "shown"
    """What it was shown, errors included."""
    READING = "reading"
    """Whatever else the reading holds: completions and answers that were not shown."""


class Words(NamedTuple):
    """The texts of one step, by place."""

    said: str
    shown: str
    reading: str

    def at(self, place: Place) -> str:
        """The text of one place."""
        return str(getattr(self, place.value))


def words_of(step: Step) -> Words:
    """The texts of a step. A turn's reading repeats them, so of it only the native calls count."""
    reading: Any = step.reading
    if step.kind is StepKind.TURN and isinstance(reading, dict):
        reading = reading.get("uses")
    hypothesis = None if step.hypothesis is None else step.hypothesis.model_dump(mode="json")
    return Words(
        said="\n".join([step.thought, *_texts(step.arguments), *_texts(_stated(hypothesis))]),
        shown="\n".join(each for each in (step.text, step.error) if each),
        reading="\n".join(_texts(reading)),
    )


def _stated(hypothesis: dict[str, Any] | None) -> list[Any]:
    """The sentences of a hypothesis, its quotes included; its fixed words such as the verdict are left out."""
    if hypothesis is None:
        return []
    claims = hypothesis["claims"]
    quotes = [evidence["quote"] for claim in claims for evidence in claim["evidence"]]
    return [hypothesis["summary"], [claim["statement"] for claim in claims], hypothesis["guesses"], quotes]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, in order."""
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
