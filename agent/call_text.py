"""Calls that a language model wrote into its text, in the forms that models use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from finetrace.agent.loose_fields import plain
from finetrace.agent.loose_json import LONGEST_TEXT, Piece, Row, find_values, read_whole

_NAMES = ("name", "tool", "instrument", "function", "tool_name", "function_name", "action", "call")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "params", "kwargs", "action_input", "tool_input")
_THOUGHTS = ("thought", "thoughts", "reasoning", "reason", "rationale", "explanation")
_WRAPPERS = ("calls", "tool_calls", "function_calls", "call", "tool_call", "function_call", "function")
_SUBMIT = "submit_hypothesis"
_LONGEST_THOUGHT = 4000
_LOOK_BACK = 160
_MOST_LETTERS_BETWEEN = 40
"""Between two calls of one answer: tags and a word or two."""
_MOST_NESTED = 4
_MOST_VALUES = 100
"""With calls in them, in one text."""

_LETTERS = re.compile(r"[^\W\d_]")
_THINKING = re.compile(r"</?(?:think|thinking|reasoning)>")
_MARK = re.compile(
    r"(?:```[\w-]*|<\|?/?(?:tool_calls?|function_calls?|tool_code|python_tag|tool)\|?>|\[TOOL_CALLS?\]"
    r"|<function(?:=| name=\"?)[\w.-]+\"?>|\baction(?: input)?:)\s*$",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?:<function(?:=| name=\"?)(?P<tag>[\w.-]+)\"?>|\[TOOL_CALLS\]\s*(?P<mark>[\w.-]+)(?:\[ARGS\])?"
    r"|\baction:\s*(?P<action>[\w.-]+)\s*action input:"
    r"|(?<![\w.\"'])(?P<bare>[\w.-]+)[*`]*\s*[(:=]?\s*(?:```[\w-]*)?)\s*$",
    re.IGNORECASE,
)


_CLOSING_MARK = re.compile(r"^\s*(?:```|</?\w+>|\)|,|;)+")


class Fields(NamedTuple):
    """The arguments of a tool."""

    required: frozenset[str]
    known: frozenset[str]


class RawCall(NamedTuple):
    """A call as it was written."""

    name: str
    arguments: Any
    """A mapping if all is well."""
    thought: str = ""
    whole: bool = True
    """Whether its end is there."""


class _Written(NamedTuple):
    """The calls of one value in a text."""

    calls: tuple[RawCall, ...]
    marked: bool
    """Whether the text marks the value as a call or as code."""
    start: int
    end: int


def json_values(text: str, shown: Callable[[str], bool] | None = None) -> list[Any]:
    """The JSON objects and lists in what a model wrote, thinking aloud left out; those cut off as far as they go.

    Args:
        text: What it wrote.
        shown: Whether a text stands in a reading; values that do are left out.
    """
    text = without_thinking(text)
    return [plain(value) for value in find_values(text) if shown is None or not _repeated(value, text, shown)]


def without_thinking(text: str) -> str:
    """The text without what a model thinks aloud between tags in front of its answer."""
    tags = list(_THINKING.finditer(text[:LONGEST_TEXT]))
    if not tags:
        return text
    last = tags[-1]
    return text[last.end() :] if last.group().startswith("</") else text[: last.start()]


def calls_in(text: str, tools: Mapping[str, Fields], shown: Callable[[str], bool]) -> list[RawCall]:
    """The calls in a text, in order, each once. Where some are marked as calls or as code, those alone.

    A hypothesis that follows a call with prose between them is left out: it rests on results that the model made up.

    Args:
        text: What the model wrote.
        tools: What may be called, by name.
        shown: Whether a text stands in a reading; what does is a model's under study, not the auditor's.
    """
    text = without_thinking(text)[:LONGEST_TEXT].strip()
    found: list[_Written] = []
    for value in find_values(text):
        written = _written(value, text, found[-1].end if found else 0, tools, shown)
        if written.calls:
            found.append(written)
            if not value.whole or len(found) == _MOST_VALUES:
                break
    found = [written for written in found if written.marked] or found
    calls: list[RawCall] = []
    for i, written in enumerate(found):
        made_up = i > 0 and len(_LETTERS.findall(text, found[i - 1].end, written.start)) > _MOST_LETTERS_BETWEEN
        calls += [call for call in written.calls if not (made_up and known_name(call.name, (_SUBMIT,)))]
    once: dict[str, RawCall] = {}
    for call in calls:
        once.setdefault(f"{call.name} {json.dumps(call.arguments, sort_keys=True, default=str)}", call)
    return list(once.values())


def _written(
    value: Piece | Row, text: str, last: int, tools: Mapping[str, Fields], shown: Callable[[str], bool]
) -> _Written:
    """The calls that a value in the text stands for; the text between ``last`` and it is why."""
    before = text[max(last, value.start - _LOOK_BACK) : value.start]
    marked = len(text) == value.end - value.start or _MARK.search(before) is not None

    def organisms(piece: Piece) -> bool:
        return piece.whole and _repeated(piece, text, shown)

    calls = list(_calls(value, tools, organisms, bare=marked))
    said = text[max(last, value.start - _LONGEST_THOUGHT) : value.start] if calls else ""
    if not calls and isinstance(value, Piece) and (name := _name_before(before, value, tools)):
        calls = [RawCall(name, value, whole=value.whole)]
        said = _NAMED.sub("", before)
    if calls and value.whole and _repeated(value, text, shown):
        calls = []
    if calls and not calls[0].thought:
        thought = _CLOSING_MARK.sub("", _MARK.sub("", said)).strip()
        # Some models double the braces around a call; what is left of them is no thought.
        calls[0] = calls[0]._replace(thought=thought if thought.strip("{}[], \n") else "")
    return _Written(tuple(calls), marked, value.start, value.end)


def _repeated(value: Piece | Row, text: str, shown: Callable[[str], bool]) -> bool:
    """Whether a value stands in a reading, as written or with other white space."""
    if value.end > value.start and shown(text[value.start : value.end]):
        return True
    return any(shown(json.dumps(value, ensure_ascii=False, separators=pair)) for pair in ((", ", ": "), (",", ":")))


def _name_before(before: str, piece: Piece, tools: Mapping[str, Fields]) -> str | None:
    """The tool whose name stands right before its arguments."""
    found = _NAMED.search(before)
    if found is None:
        return None
    name = known_name(found["tag"] or found["mark"] or found["action"] or found["bare"], tools)
    if name is None or not set(piece) <= tools[name].known or not tools[name].required <= set(piece):
        return None
    return name if piece or found["tag"] else None


def known_name(written: str, tools: Collection[str]) -> str | None:
    """The tool that is meant: hyphens, case and a namespace in front do not matter."""
    name = re.split(r"[.:/]", written.strip())[-1].strip().lower().replace("-", "_").replace(" ", "_")
    if name in tools:
        return name
    return next((tool for tool in tools if name and tool.replace("_", "") == name.replace("_", "")), None)


def _calls(
    value: Any, tools: Mapping[str, Fields], organisms: Callable[[Piece], bool], *, bare: bool, depth: int = 0
) -> Iterator[RawCall]:
    """The calls in a JSON value, whatever is wrapped around them."""
    if depth == _MOST_NESTED:
        return
    if isinstance(value, Row):
        for item in value:
            yield from _calls(item, tools, organisms, bare=bare, depth=depth + 1)
    if not isinstance(value, Piece):
        return
    thought = next((value[key] for key in _THOUGHTS if isinstance(value.get(key), str)), "")[:_LONGEST_THOUGHT]
    wrapped = next((value[key] for key in _WRAPPERS if isinstance(value.get(key), Piece | Row)), None)
    if wrapped is not None:
        for inner in _calls(wrapped, tools, organisms, bare=True, depth=depth + 1):
            yield inner if inner.thought else inner._replace(thought=thought)
            thought = ""
    elif (call := _call(value, tools, bare=bare)) is not None and not organisms(value):
        given = call.arguments
        if not (known_name(call.name, (_SUBMIT,)) and isinstance(given, Piece) and organisms(given)):
            yield call._replace(thought=thought)


def _call(piece: Piece, tools: Mapping[str, Fields], *, bare: bool) -> RawCall | None:
    """The call that an object is; ``None`` where it is something else."""
    written = next((piece[key] for key in _NAMES if isinstance(piece.get(key), str)), None)
    key = next((key for key in _ARGUMENTS if key in piece), None)
    if written is not None and (key is not None or not piece.whole):
        return RawCall(written, piece.get(key or ""), whole=piece.whole)
    rest = Piece({name: value for name, value in piece.items() if name not in (*_NAMES, *_THOUGHTS)})
    if written is not None and (rest or bare) and (name := known_name(written, tools)):
        return RawCall(name, rest, whole=piece.whole)
    if len(rest) == 1 and (name := known_name(next(iter(rest)), tools)):
        inner = next(iter(rest.values()))
        return RawCall(name, inner, whole=piece.whole) if isinstance(inner, Piece) else None
    if written is not None:
        return None
    if "verdict" in rest and ("summary" in rest or "claims" in rest):
        return RawCall(_SUBMIT, rest, whole=piece.whole)
    fitting = [
        name for name, fields in tools.items() if fields.required and fields.required <= set(rest) <= fields.known
    ]
    return RawCall(fitting[0], rest, whole=piece.whole) if bare and len(fitting) == 1 else None


def arguments_of(written: Any) -> dict[str, Any] | None:
    """The arguments of a call in plain JSON; ``None`` where they are none, or where their end is missing."""
    for _ in range(3):
        if not isinstance(written, str):
            break
        if not written.strip():
            written = Piece()
        elif (held := read_whole(written)) is not None:
            written = held
        else:
            try:
                written = json.loads(written)  # JSON in a JSON text
            except (ValueError, RecursionError):
                return None
    if written is None:
        return {}
    if isinstance(written, list) and len(written) == 1:
        written = written[0]  # some models put the arguments of a call into a list
    if not isinstance(written, Piece) or not written.whole:
        return None
    if (
        len(written) == 1
        and isinstance(inner := written.get(next(iter(written))), Piece)
        and set(written) <= set(_ARGUMENTS)
    ):
        return dict(plain(inner))
    return dict(plain(written))
