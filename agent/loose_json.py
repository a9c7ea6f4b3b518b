"""JSON as language models write it: found in a text and read with its slips, in one pass.

Borne with are single quotes, bare keys and single bare words, trailing commas, a comma left out at a line's end,
comments, Python's literals, raw line breaks and unescaped quotes in strings. A value that the text ends in the middle
of is read as far as it goes and says so; a string that ends there is left out. Whatever else is no JSON is no value:
prose never becomes one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

LONGEST_TEXT = 60_000
"""Characters of a text that are read; no answer worth reading is longer."""
_DEEPEST = 40
_CUT_ROOM = LONGEST_TEXT
"""Characters that may be read in vain where texts end inside a value."""
_LONGEST_KEY = 200
_LONGEST_COMMENT = 500
_LONGEST_NUMBER = 400

_OPENING = re.compile(r"[{\[]")
_SPACE = re.compile(r"\s*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?P<real>(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.%])")
_BARE_KEY = re.compile(r"[A-Za-z_][\w-]{0,80}(?=\s{0,20}:)")
_BARE_WORD = re.compile(r"[A-Za-z_][\w-]{0,80}(?=\s{0,200}[,}\]])")
_CUT_WORD = re.compile(r"[\w.+-]{1,80}\Z")
_BARE_SHARE = re.compile(r"\d{1,3}(?:\.\d{1,4})?%")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'", "\n": ""}
_LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_LITERAL = re.compile(r"(?:true|false|null|True|False|None)(?![\w-])")
_NEXT_QUOTE = {quote: re.compile(rf"(?:[^{quote}\\]++|\\.)*+(?P<end>{quote})?", re.DOTALL) for quote in "\"'"}
_AFTER_KEY = re.compile(r"\s{0,200}:")
_AFTER_VALUE = re.compile(r"\s*+(?:[,}\]]|$|//|/\*|#)|[^\S\n]*+\n\s*+[\"'{\[]")


class Piece(dict[str, Any]):
    """An object with its place in the text."""

    start = 0
    """Its first character."""
    end = 0
    """One past its last character."""
    whole = True
    """Whether it was closed; ``False`` where the text ends inside it."""


class Row(list[Any]):
    """A list with its place in the text."""

    start = 0
    """Its first character."""
    end = 0
    """One past its last character."""
    whole = True
    """Whether it was closed."""


class _NotJsonError(Exception):
    """What stands there is no JSON.

    Args:
        at: Where that shows; everything before is done with.
    """

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class _Cut:
    """Stands for a value whose end is missing."""


_CUT = _Cut()


def find_values(text: str) -> Iterator[Piece | Row]:
    """The objects and lists in a text, outermost ones, in order; time grows with the length of the text alone.

    Args:
        text: Prose with JSON in it, or JSON; of longer ones than ``LONGEST_TEXT`` only that much is read.
    """
    text = text[:LONGEST_TEXT]
    place, room = 0, _CUT_ROOM
    while opening := _OPENING.search(text, place):
        start = opening.start()
        try:
            found = _nested(text, start, 0)
        except _NotJsonError as stop:
            place = max(start + 1, stop.at)
            continue
        if found:
            yield found
        if found.whole:
            place = found.end
            continue
        # A bracket or apostrophe of prose may have swallowed the rest, which holds other values.
        room -= len(text) - start
        if room < 0:
            return
        place = start + 1


def read_whole(text: str) -> Piece | Row | None:
    """The value that a text consists of, cut off or whole; ``None`` where it is something else."""
    start = _after_space(text, 0)
    if len(text) > LONGEST_TEXT or not _OPENING.match(text, start):
        return None
    try:
        found = _nested(text, start, 0)
    except _NotJsonError:
        return None
    return found if _after_space(text, found.end) == len(text) else None


def clean(text: str) -> str:
    """The text without halves of characters, which no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Read(NamedTuple):
    value: Any
    end: int


def _value(text: str, place: int, depth: int) -> _Read:
    """The value at ``place``."""
    if place >= len(text):
        return _Read(_CUT, place)
    first = text[place]
    if first in "{[":
        nested = _nested(text, place, depth)
        return _Read(nested, nested.end)
    if first in _NEXT_QUOTE:
        return _string(text, place)
    return _word(text, place)


def _nested(text: str, start: int, depth: int) -> Piece | Row:
    """The object or list whose bracket stands at ``start``."""
    if depth == _DEEPEST:
        raise _NotJsonError(start)
    made = _object(text, start, depth) if text[start] == "{" else _list(text, start, depth)
    made.start = start
    made.whole = made.end <= len(text)
    made.end = min(made.end, len(text))
    return made


def _object(text: str, start: int, depth: int) -> Piece:
    piece = Piece()
    place = _after_space(text, start + 1)
    while place < len(text) and text[place] != "}":
        key = _key(text, place)
        if key.value is _CUT:
            place = key.end
            break
        value, place = _value(text, key.end, depth + 1)
        if value is not _CUT:
            piece[key.value] = value
        place = _after_item(text, place, "}")
    piece.end = place + 1
    return piece


def _list(text: str, start: int, depth: int) -> Row:
    row = Row()
    place = _after_space(text, start + 1)
    while place < len(text) and text[place] != "]":
        value, place = _value(text, place, depth + 1)
        if value is not _CUT:
            row.append(value)
        place = _after_item(text, place, "]")
    row.end = place + 1
    return row


def _after_item(text: str, place: int, closing: str) -> int:
    """Where the next item or the closing bracket stands, past a comma; the end of the text where it is cut off."""
    ended = place
    place = _after_space(text, place)
    if place >= len(text) or text[place] == closing:
        return place
    if text[place] == ",":
        return _after_space(text, place + 1)
    if "\n" in text[ended:place]:
        return place  # a comma is missing at the end of the line
    raise _NotJsonError(place)


def _key(text: str, place: int) -> _Read:
    """A key, and where its value begins."""
    quote = text[place]
    if quote in _NEXT_QUOTE:
        within = _NEXT_QUOTE[quote].match(text, place + 1, place + _LONGEST_KEY)
        end = within.end() if within and within["end"] else None
        if end is None:
            if len(text) - place < _LONGEST_KEY:
                return _Read(_CUT, len(text))
            raise _NotJsonError(place + 1)
        name = _unescaped(text[place + 1 : end - 1])
    elif bare := _BARE_KEY.match(text, place):
        name, end = bare.group(), bare.end()
    else:
        raise _NotJsonError(place)
    colon = _AFTER_KEY.match(text, end)
    if colon is None:
        if _after_space(text, end) == len(text):
            return _Read(_CUT, len(text))
        raise _NotJsonError(place + 1)
    return _Read(name, _after_space(text, colon.end()))


def _string(text: str, start: int) -> _Read:
    """A string that is a value. A quote that nothing fitting follows is part of it: somebody forgot to escape it."""
    quote = text[start]
    place = start + 1
    while True:
        within = _NEXT_QUOTE[quote].match(text, place)
        if within is None or not within["end"]:
            return _Read(_CUT, len(text))
        place = within.end()
        if _AFTER_VALUE.match(text, place):
            return _Read(_unescaped(text[start + 1 : place - 1]), place)
        if _AFTER_KEY.match(text, place):
            raise _NotJsonError(place)  # the end of a later key: where the string ends nobody can tell


def _word(text: str, place: int) -> _Read:
    """A number, a literal or a bare word."""
    if (number := _NUMBER.match(text, place)) and number.end() - place <= _LONGEST_NUMBER:
        written = number.group()
        return _Read(float(written) if number["real"] else int(written), number.end())
    if share := _BARE_SHARE.match(text, place):
        return _Read(share.group(), share.end())
    if literal := _LITERAL.match(text, place):
        return _Read(_LITERALS[literal.group()], literal.end())
    if word := _BARE_WORD.match(text, place):
        return _Read(word.group(), word.end())
    if _CUT_WORD.match(text, place):
        return _Read(_CUT, len(text))
    raise _NotJsonError(place)


def _unescaped(body: str) -> str:
    if "\\" in body:
        body = _ESCAPE.sub(_character, body)
    return clean(body)


def _character(escape: re.Match[str]) -> str:
    code, sign = escape.groups()
    if code is not None:
        return chr(int(code, 16))
    # An escape that JSON does not know is mostly a regular expression's.
    return _ESCAPED.get(sign, escape.group())


def _after_space(text: str, place: int) -> int:
    """The first place from there on that is neither white space nor comment."""
    while True:
        space = _SPACE.match(text, place)
        place = space.end() if space else place
        if text.startswith("//", place) or text.startswith("#", place):
            place = _line_end(text, place)
        elif text.startswith("/*", place):
            end = text.find("*/", place + 2, place + _LONGEST_COMMENT)
            if end < 0:
                return place
            place = end + 2
        else:
            return place


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end
