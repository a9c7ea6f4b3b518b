"""Chat completions that servers send in odd forms, put into the form that clients insist on.

Without this one odd field, such as arguments as an object, loses an answer that is otherwise whole and paid for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def mended(body: bytes) -> bytes:
    """The same chat completion in OpenAI's form; anything else as it is.

    Args:
        body: Of a response that went well, decoded from whatever it was compressed with.
    """
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(said, dict) or not isinstance(said.get("choices"), list):
        return body
    said["choices"] = [_choice(choice) for choice in said["choices"] if isinstance(choice, dict)]
    said["usage"] = _usage(said.get("usage"))
    return json.dumps(said).encode()


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    message = choice.get("message")
    if not isinstance(message, dict):
        message = {"content": choice.get("text")}  # the form of plain completions
    finish = choice.get("finish_reason")
    return {**choice, "message": _message(message), "finish_reason": finish if isinstance(finish, str) else "stop"}


def _message(message: dict[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls]
    if not calls and message.get("function_call"):
        calls = [{"function": message["function_call"]}]  # OpenAI's form before there was more than one
    if not isinstance(calls, list):
        calls = []
    kept = {name: value for name, value in message.items() if name != "function_call"}
    refusal = message.get("refusal") or _joined(message.get("content"), "refusal")
    return {
        **kept,
        "role": "assistant",
        "content": _content(message.get("content")),
        "refusal": refusal if isinstance(refusal, str) and refusal else None,
        "tool_calls": [_call(call) for call in calls if call] or None,
    }


def _content(content: Any) -> str | None:
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list):
        return _joined(content, "text")
    return json.dumps(content, ensure_ascii=False)


def _joined(content: Any, kind: str) -> str:
    """What the parts of a content say under that name."""
    parts = content if isinstance(content, list) else []
    found = [part if isinstance(part, str) and kind == "text" else _of(part, kind) for part in parts]
    return "".join(text for text in found if isinstance(text, str))


def _call(call: Any) -> dict[str, Any]:
    """A call of a tool, whatever is missing; what is missing is left empty, so that the model can be told."""
    function = _of(call, "function") or _of(call, "custom") or call
    if isinstance(function, str):
        function = {"name": function}
    name, given = _of(function, "name"), _of(function, "id") or _of(call, "id")
    arguments = _of(function, "arguments")
    if arguments is None:
        arguments = _of(function, "input")
    return {
        "id": "" if given is None else str(given),
        "type": "function",
        "function": {"name": name if isinstance(name, str) else "", "arguments": written(arguments)},
    }


def written(arguments: Any) -> str:
    """Arguments as text: JSON of what is no text yet."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _usage(usage: Any) -> dict[str, Any] | None:
    """Counts that are numbers; ``None`` where they are not."""
    try:
        read, spent = (max(0, int(usage[name])) for name in ("prompt_tokens", "completion_tokens"))
    except (TypeError, ValueError, KeyError, OverflowError):
        return None
    details = {name: value for name, value in usage.items() if isinstance(value, Mapping)}
    return {**details, "prompt_tokens": read, "completion_tokens": spent, "total_tokens": read + spent}


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
