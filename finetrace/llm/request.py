"""A request in OpenAI's form, which litellm puts into every other provider's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from finetrace.llm.messages import Message, Tool, ToolUse

SCHEMA_NAME = "decision"
"""The name that a schema for the whole answer goes by; providers want one."""
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME = 64


class Request(NamedTuple):
    """What is asked of a model."""

    messages: Sequence[Message]
    max_tokens: int
    temperature: float = 0.0
    tools: Sequence[Tool] = ()
    must_use: str | None = None
    schema: Mapping[str, Any] | None = None
    seed: int | None = None

    @property
    def formed(self) -> bool:
        """Whether more than plain text is asked for."""
        return bool(self.tools) or self.schema is not None

    def parameters(self) -> dict[str, Any]:
        """As litellm takes them; made anew for each try, as litellm may change them."""
        said: dict[str, Any] = {
            "messages": [_message(message) for message in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
        }
        if self.tools:
            said["tools"] = [_tool(tool) for tool in self.tools]
        if self.must_use is not None:
            if self.must_use not in {tool.name for tool in self.tools}:
                raise ValueError(f"{self.must_use} is none of the tools")
            said["tool_choice"] = {"type": "function", "function": {"name": self.must_use}}
        if self.schema is not None:
            schema = {"name": SCHEMA_NAME, "strict": False, "schema": deepcopy(dict(self.schema))}
            said["response_format"] = {"type": "json_schema", "json_schema": schema}
        if self.seed is not None:
            said["seed"] = self.seed
        return said


def whole_characters(text: str) -> str:
    """The text with halves of characters replaced: no file, database or request can hold them."""
    return _LONE_SURROGATES.sub("\ufffd", text)


def _message(message: Message) -> dict[str, Any]:
    content = whole_characters(message.content)
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.use_id or "", "content": content}
    if message.uses:
        calls = [_call(use) for use in message.uses]
        return {"role": "assistant", "content": content or None, "tool_calls": calls}
    return {"role": message.role, "content": content}


def _call(use: ToolUse) -> dict[str, Any]:
    """A call said back to the model. Providers refuse a history with names and arguments out of form."""
    name = _NOT_IN_NAMES.sub("_", use.name)[:_LONGEST_NAME] or "unnamed"
    return {"id": use.id, "type": "function", "function": {"name": name, "arguments": _arguments(use.arguments)}}


def _arguments(written: str) -> str:
    """The same JSON where it is an object; an object that holds the text where it is not."""
    written = whole_characters(written)
    try:
        fine = isinstance(json.loads(written), dict)
    except (ValueError, RecursionError):
        fine = False
    if fine:
        return written
    return json.dumps({"unreadable": written} if written.strip() else {})


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": deepcopy(dict(tool.parameters))}
    return {"type": "function", "function": function}
