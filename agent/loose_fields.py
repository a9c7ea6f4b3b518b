"""Values as language models write them, read as what they mean where that is beyond doubt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from finetrace.agent.loose_json import read_whole

Member = TypeVar("Member", bound=StrEnum)

_PERCENT = re.compile(r"\s*(\d{1,3}(?:[.,]\d+)?)\s*%\s*")
_STEP = re.compile(r"\s*(?:step\s*)?(?:no\.?\s*)?#?\s*(\d{1,6})\s*", re.IGNORECASE)
_LETTERS = re.compile(r"[^a-z]")
_SPELLINGS = {"behavior": "behaviour"}
_LOWEST_PERCENT = 10
"""From 1 to this a number is as likely a mark out of ten."""


def member_of(value: object, kinds: type[Member]) -> object:
    """The member that is meant, whatever its case, its hyphens and its spaces; the value itself where none is."""
    if not isinstance(value, str) or len(value) > 60:
        return value
    letters = _letters(value)
    wanted = _SPELLINGS.get(letters, letters)
    return next((member for member in kinds if _letters(member) == wanted), value)


def share_of(value: object) -> object:
    """A share from 0 to 1 where a number in percent is meant; the value itself otherwise."""
    if isinstance(value, str):
        if percent := _PERCENT.fullmatch(value):
            return float(percent[1].replace(",", ".")) / 100
        return value
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float) and _LOWEST_PERCENT < value <= 100:
        return value / 100
    return value


def step_of(value: object) -> object:
    """The number in ``step 3`` or ``#3``; the value itself otherwise."""
    if isinstance(value, str) and (found := _STEP.fullmatch(value)):
        return int(found[1])
    return value


def listed(value: object) -> object:
    """A list, where one thing or none stands for it, or a text that holds one."""
    if value is None:
        return []
    if isinstance(value, str):
        held = read_whole(value) if value.lstrip()[:1] in ("[", "{") else None
        if held is not None and held.whole:
            return held if isinstance(held, list) else [held]
        return [value] if value.strip() else []
    return [value] if isinstance(value, Mapping) else value


def listed_words(value: object) -> object:
    """As `listed`; a text with commas is cut at them."""
    found = listed(value)
    if isinstance(value, str) and isinstance(found, list) and found == [value]:
        return [part.strip() for part in re.split(r"[,;\n]", value) if part.strip()]
    return found


def first_of(value: object, most: int) -> object:
    """As `listed`; what is beyond ``most`` is left out."""
    found = listed(value)
    return found[:most] if isinstance(found, list) else found


def plain(value: Any) -> Any:
    """The same in plain dictionaries and lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def _letters(text: str) -> str:
    return _LETTERS.sub("", text.lower())
