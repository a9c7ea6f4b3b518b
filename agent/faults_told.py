"""What is wrong with a call's arguments, in words a language model can act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from finetrace.agent.inert import inert
from finetrace.errors import closest
from finetrace.tools.reading import one_line

LONGEST = 600
"""Characters of a complaint."""
_SHOWN = 40
_TYPES = {
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def complaint(name: str, error: ValidationError, arguments: type[BaseModel]) -> str:
    """Which fields of a call are wrong, why, and what is allowed; each field once, at most ``LONGEST`` characters.

    Args:
        name: What was called.
        error: Of its arguments.
        arguments: Their model.
    """
    told: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        field = _field(fault["loc"])
        if field not in told:
            told[field] = f"{_place(fault['loc'])}{_what(fault, arguments)}"
    text = f"{name}: "
    for i, said in enumerate(told.values()):
        if len(text) + len(said) > LONGEST - 30:
            return f"{text}and {len(told) - i} more."
        text += f"{said}; "
    text = text.rstrip("; ")
    return text if text.endswith("?") else f"{text}."


def _field(place: Sequence[int | str]) -> str:
    """The name of a field, the same in every item of a list."""
    return ".".join(str(part) for part in place if isinstance(part, str))


def _place(place: Sequence[int | str]) -> str:
    """Where a field stands: ``claims[0].kind``, counted from 0 as in JSON."""
    path = ""
    for part in place:
        path += f"[{part}]" if isinstance(part, int) else f".{inert(one_line(str(part), _SHOWN))}"
    return f"`{path.lstrip('.')}` " if path else ""


def _what(fault: ErrorDetails, arguments: type[BaseModel]) -> str:
    kind, limits = fault["type"], fault.get("ctx", {})
    given = _short(fault.get("input"))
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return _unknown(fault["loc"], arguments)
    if kind in ("enum", "literal_error"):
        return f"must be {str(limits.get('expected', 'another value')).replace(chr(39), chr(34))}, not {given}"
    if kind in _TYPES:
        return f"{_TYPES[kind]}, not {given}"
    if kind.startswith(("int", "float")):
        return f"must be a {'whole ' if kind.startswith('int') else ''}number, not {given}"
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**limits, given=given)
    return one_line(fault["msg"].removeprefix("Value error, "), 200)


_BOUNDS = {
    "greater_than_equal": "must be at least {ge:g}, not {given}",
    "less_than_equal": "must be at most {le:g}, not {given}",
    "too_short": "needs at least {min_length} item",
    "too_long": "takes at most {max_length}, not {actual_length}",
    "string_too_short": "must not be empty",
    "string_too_long": "takes at most {max_length} characters",
}


def _unknown(place: Sequence[int | str], arguments: type[BaseModel]) -> str:
    """A field that does not exist, with what it may have been meant to be."""
    if len(place) > 1:
        return "is no field; leave it out"
    return f"is no argument: {closest(str(place[0])[:80], arguments.model_fields)}"


def _short(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "a list" if not isinstance(value, Mapping) else "an object"
    return inert(one_line(str(value) if not isinstance(value, str) else f'"{value}"', _SHOWN))
