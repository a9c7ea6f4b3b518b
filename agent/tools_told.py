"""Tools described in plain text, for models that are not told of them in another way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from finetrace.llm import Tool

_FORM = """\
How to call
End every answer with one JSON object of this form, and write nothing after it:
{form}
`thought` says in one or two sentences why. `calls` holds one to four calls; they are carried out in order, and what \
they give comes in the next message. Each … stands for a value of yours. Write plain JSON: double quotes, no comments, \
quotation marks inside a text as \\"."""
_SUBMIT_FORM = "To hand in, the call is\n{call}"


def describe(tools: Sequence[Tool]) -> str:
    """The arguments of all tools, and how to write a call of them.

    Args:
        tools: What may be called; the last hands in the answer.
    """
    lines = ["Arguments; those marked * must be given, the others may be left out."]
    for tool in tools:
        lines.append(f"- {tool.name}")
        lines += _fields(tool.parameters, "  ")
    first, last = tools[0], tools[-1]
    form = f'{{"thought": "…", "calls": [{_call(first)}]}}'
    told = ["\n".join(lines), _FORM.format(form=form)]
    if last is not first:
        told.append(_SUBMIT_FORM.format(call=_call(last)))
    return "\n\n".join(told)


def _fields(schema: Mapping[str, Any], margin: str) -> Iterator[str]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        star = "*" if name in required else ""
        about = field.get("description", "")
        default = f" Default {json.dumps(field['default'], ensure_ascii=False)}." if _says_default(field) else ""
        yield f"{margin}{name}{star} ({_kind(field)}): {about}{default}".rstrip(": ")
        inner = field.get("items", field)
        if "properties" in inner:
            yield from _fields(inner, f"{margin}  ")


def _says_default(field: Mapping[str, Any]) -> bool:
    return field.get("default", "") not in ("", [])


def _kind(field: Mapping[str, Any]) -> str:
    """What a value is: ``list of texts``, ``whole number, 1 to 20``."""
    if "enum" in field:
        return " | ".join(field["enum"])
    kind = field.get("type")
    if kind == "array":
        inner = field.get("items", {})
        return "list of objects" if "properties" in inner else f"list of {_kind(inner)}"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f"{names.get(str(kind), 'object')}, {low:g} to {high:g}"
    return names.get(str(kind), "object")


def _call(tool: Tool) -> str:
    """A call of the tool with … for values: of those that must be given, or of all where they hold objects."""
    fields = tool.parameters.get("properties", {})
    whole = any("properties" in field.get("items", {}) for field in fields.values())
    names = fields if whole else tool.parameters.get("required", ())
    given = ", ".join(f'"{name}": {_sketch(fields[name])}' for name in names)
    return f'{{"name": "{tool.name}", "arguments": {{{given}}}}}'


def _sketch(schema: Mapping[str, Any]) -> str:
    """A value with … in place of what is to be filled in."""
    if schema.get("type") == "array":
        return f"[{_sketch(schema.get('items', {}))}]"
    if "properties" in schema:
        return "{" + ", ".join(f'"{name}": {_sketch(field)}' for name, field in schema["properties"].items()) + "}"
    return '"…"' if schema.get("type") == "string" else "…"
