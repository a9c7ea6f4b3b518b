"""Calls of a language model: the tools it is offered, and what its answers ask for."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetrace.agent.call_text import Fields, RawCall, arguments_of, calls_in, known_name
from finetrace.agent.decision import REREAD, Submit, ToolCall
from finetrace.agent.faults_told import complaint
from finetrace.agent.inert import inert
from finetrace.agent.loose_fields import listed
from finetrace.agent.loose_json import clean, read_whole
from finetrace.agent.submission import Submission, to_submit
from finetrace.agent.tools_told import describe
from finetrace.agent.turns import Use
from finetrace.agent.wire_schema import decision_schema, small_schema
from finetrace.errors import closest
from finetrace.llm import Tool
from finetrace.tools.corpora import BUILT_IN
from finetrace.tools.reading import one_line
from finetrace.tools.registry import INSTRUMENTS

__all__ = ["REREAD", "SUBMIT", "Entry", "RereadArguments", "decision_schema", "describe", "read_calls", "tools_of"]

SUBMIT = "submit_hypothesis"
MOST_CALLS_READ = 8
"""Calls that are read of one text."""
_WITHHELD = ("text_file",)
"""Arguments that name files of the user's machine: no model chooses those."""

Entry = ToolCall | Submit | str
"""A call of an answer; a text says what is wrong with it, for the model."""


class RereadArguments(BaseModel):
    """Shows more of an earlier reading: the texts of a step in full, page by page, or the places that hold a word.

    Readings are cut short where they are long. Costs nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int = Field(ge=1, description="Number of the step whose reading to show.")
    start: int = Field(
        default=0, ge=0, description="Character to begin at. A page ends by saying where the next begins."
    )
    find: str | None = Field(
        default=None, max_length=200, description="Show only the places where this text occurs, with what is around it."
    )


def tools_of(names: Sequence[str]) -> tuple[Tool, ...]:
    """The tools a model may call.

    Args:
        names: Instruments at hand.
    """
    form = small_schema(Submission)
    # One that says `finetuned` needs claims, which a schema can only ask for in all.
    submit = Tool(SUBMIT, _about(Submission), {**form, "required": [*form["required"], "claims"]})
    instruments = [
        Tool(name, _about(type(INSTRUMENTS[name])), _instrument_schema(name)) for name in names if name in INSTRUMENTS
    ]
    return (*instruments, Tool(REREAD, _about(RereadArguments), small_schema(RereadArguments)), submit)


@cache
def _instrument_schema(name: str) -> dict[str, Any]:
    schema = small_schema(INSTRUMENTS[name].arguments, _WITHHELD)
    if "corpora" in schema["properties"]:
        field = schema["properties"]["corpora"]
        about = field["description"].partition(", a .txt")[0] + "."
        schema["properties"]["corpora"] = {
            **field,
            "items": {"type": "string", "enum": list(BUILT_IN)},
            "description": about,
        }
    return schema


def _about(described: type) -> str:
    """Its docstring, a paragraph a line."""
    paragraphs = (inspect.getdoc(described) or "").split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def read_calls(text: str, uses: Sequence[Use], names: Sequence[str], shown: Callable[[str], bool]) -> tuple[Entry, ...]:
    """What an answer asks for, in order; empty where it holds no call. Nothing after a hypothesis is read.

    Args:
        text: What the model wrote beside native calls.
        uses: Its native calls; where there are some, the text is not searched for others.
        names: Instruments at hand.
        shown: Whether a text stands word for word in a reading: then it is data, and no call.
    """
    tools = _fields([*names, REREAD, SUBMIT])
    text = clean(text)
    if uses:
        calls = [RawCall(clean(use.name), clean(use.arguments)) for use in uses]
        calls[0] = calls[0]._replace(thought=text.strip())
    else:
        calls = calls_in(text, tools, shown)
        # The form of a call, repeated from the prompt, is none.
        calls = [call for call in calls if not _unfilled(call.arguments)] or calls
    entries: list[Entry] = []
    for call in calls:
        if len(entries) >= MOST_CALLS_READ:
            entries.append(f"Only the first {MOST_CALLS_READ} calls of an answer are carried out.")
            if uses:
                continue  # each native call is answered
            break
        entries.append(_entry(call, tools))
        if isinstance(entries[-1], Submit):
            break
    return tuple(entries)


def _fields(names: Sequence[str]) -> dict[str, Fields]:
    return {name: _fields_of(name) for name in names if name in (REREAD, SUBMIT) or name in INSTRUMENTS}


@cache
def _fields_of(name: str) -> Fields:
    fields = _arguments(name).model_fields
    return Fields(frozenset(key for key, field in fields.items() if field.is_required()), frozenset(fields))


def _arguments(name: str) -> type[BaseModel]:
    own: dict[str, type[BaseModel]] = {REREAD: RereadArguments, SUBMIT: Submission}
    return own[name] if name in own else INSTRUMENTS[name].arguments


def _entry(call: RawCall, tools: Mapping[str, Fields]) -> Entry:
    """The call, checked; or what is wrong with it."""
    name = known_name(call.name, tools) or (SUBMIT if call.name.strip().lower() == "submit" else None)
    if name is None:
        return f'There is no tool "{inert(one_line(call.name, 60))}": {closest(call.name[:60], tools)}'
    given = arguments_of(call.arguments) if call.whole else None
    if given is None:
        return _unreadable(name, call)
    if _unfilled(given):
        return f"{name}: … stands for a value; write your own in its place."
    given = {key: value for key, value in given.items() if key in tools[name].known or key not in _ASIDES}
    model = _arguments(name)
    try:
        if name == SUBMIT:
            return to_submit(Submission.model_validate(given), call.thought)
        fitted = _fitted(given, name)
        model.model_validate(fitted)
    except ValidationError as error:
        return complaint(name, error, model)
    return _forbidden(name, fitted) or ToolCall(thought=call.thought, instrument=name, arguments=fitted)


_ASIDES = ("thought", "reasoning", "reason", "explanation")
"""Arguments that no tool has and models like to add."""


def _unreadable(name: str, call: RawCall) -> str:
    cut = not call.whole or (isinstance(call.arguments, str) and _ends_early(call.arguments))
    if cut:
        return f"{name}: the call breaks off before its end. Write it again, shorter."
    return f"{name}: the arguments are no JSON object. Write {{…}} with double quotes around names and texts."


def _ends_early(text: str) -> bool:
    held = read_whole(text)
    return held is not None and not held.whole


def _unfilled(value: Any) -> bool:
    """Whether a value is left as the form of a call shows it."""
    if isinstance(value, str):
        return value.strip() in ("…", "...")
    if isinstance(value, Mapping):
        return any(_unfilled(inner) for inner in value.values())
    return isinstance(value, list) and any(_unfilled(inner) for inner in value)


def _fitted(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Arguments with one text in place of a list made a list, and null where it says nothing left out."""
    properties = _properties(name)
    fitted: dict[str, Any] = {}
    for key, value in given.items():
        field = properties.get(key, {})
        if value is None and key in properties:
            continue
        fitted[key] = _as_list(value, field) if field.get("type") == "array" else _in_case(value, field)
    return fitted


@cache
def _properties(name: str) -> dict[str, Any]:
    properties: dict[str, Any] = small_schema(_arguments(name))["properties"]
    return properties


def _as_list(value: Any, field: Mapping[str, Any]) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [value]
    found = listed(value) if isinstance(value, str) else value
    return [_in_case(item, field.get("items", {})) for item in found] if isinstance(found, list) else found


def _in_case(value: Any, field: Mapping[str, Any]) -> Any:
    """A member of a closed set in its own spelling."""
    if isinstance(value, str) and "enum" in field:
        wanted = value.strip().lower().replace("-", "_").replace(" ", "_")
        return wanted if wanted in field["enum"] else value
    return value


def _forbidden(name: str, fitted: Mapping[str, Any]) -> str | None:
    """What is wrong with arguments that would open files."""
    for key in _WITHHELD:
        if key in fitted:
            return f"{name}: `{key}` is not open to you; leave it out."
    others = [corpus for corpus in fitted.get("corpora", ()) if corpus not in BUILT_IN]
    if others:
        allowed = ", ".join(f'"{corpus}"' for corpus in BUILT_IN)
        return f"{name}: `corpora` takes {allowed}, not {json.dumps(inert(one_line(str(others[0]), 60)))}."
    return None
