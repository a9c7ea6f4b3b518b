"""JSON schemas of tools as they go over the wire: what a model needs of them, and no more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from finetrace.llm import Tool

MOST_CALLS = 4
"""Calls in one answer that is held to a schema."""
_LONG_DEFAULT = 120
_MANY_ITEMS = 20
_HUGE = 100_000
_LEFT_OUT = ("title", "maxLength", "pattern", "$defs")
_STRUCTURE = ("type", "enum", "const", "properties", "required", "items", "anyOf", "additionalProperties")


def small_schema(arguments: type[BaseModel], withheld: Sequence[str] = ()) -> dict[str, Any]:
    """The schema of a tool's arguments, without references, titles and limits that nobody comes near.

    A field that may be null is written as one that may be left out. A long default is told of, not written out.

    Args:
        arguments: Their model.
        withheld: Fields that are not offered.
    """
    whole = arguments.model_json_schema()
    schema = _small(whole, whole.get("$defs", {}))
    schema.pop("description", None)
    schema["properties"] = {name: field for name, field in schema["properties"].items() if name not in withheld}
    return schema


def _small(node: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        target = known[str(node["$ref"]).rpartition("/")[2]]
        own = {key: value for key, value in node.items() if key != "$ref"}
        return _small({**{key: value for key, value in target.items() if key != "description"}, **own}, known)
    small = {key: value for key, value in node.items() if key not in _LEFT_OUT}
    if "properties" in small:
        small["properties"] = {name: _small(field, known) for name, field in small["properties"].items()}
    if "items" in small:
        small["items"] = _small(small["items"], known)
    if "anyOf" in small:
        small = _without_null(small, known)
    for limit, huge in (("maxItems", _MANY_ITEMS), ("maximum", _HUGE)):
        if small.get(limit, 0) >= huge:
            del small[limit]
    return _with_short_default(small)


def _without_null(node: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """A choice between something and null, as that something."""
    choices = [_small(choice, known) for choice in node["anyOf"] if choice.get("type") != "null"]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    if rest.get("default", ...) is None:
        del rest["default"]
    return {**choices[0], **rest} if len(choices) == 1 else {"anyOf": choices, **rest}


def _with_short_default(node: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(node.get("default"), ensure_ascii=False)) <= _LONG_DEFAULT:
        return node
    about = f"{node.get('description', '')} Left out: {len(node['default'])} of its own.".strip()
    return {**{key: value for key, value in node.items() if key != "default"}, "description": about}


def decision_schema(tools: Sequence[Tool]) -> dict[str, Any]:
    """The schema of an answer that holds a thought and calls, for providers that hold answers to a schema.

    It tells the structure alone: providers differ in what else they take.

    Args:
        tools: What may be called.
    """
    calls = [
        {
            "type": "object",
            "properties": {"name": {"type": "string", "const": tool.name}, "arguments": _structure(tool.parameters)},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    return {
        "type": "object",
        "properties": {
            "thought": {"type": "string"},
            "calls": {"type": "array", "items": {"anyOf": calls}, "minItems": 1, "maxItems": MOST_CALLS},
        },
        "required": ["thought", "calls"],
        "additionalProperties": False,
    }


def _structure(schema: Mapping[str, Any]) -> dict[str, Any]:
    bare = {key: value for key, value in schema.items() if key in _STRUCTURE}
    if "properties" in bare:
        bare["properties"] = {name: _structure(field) for name, field in bare["properties"].items()}
    if "items" in bare:
        bare["items"] = _structure(bare["items"])
    if "anyOf" in bare:
        bare["anyOf"] = [_structure(choice) for choice in bare["anyOf"]]
    if schema.get("minItems") == 1:
        bare["minItems"] = 1
    return bare
