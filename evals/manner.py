"""How a hypothesis speaks: whether it is a list of keywords, praise of itself, or leaves open what was found."""

from __future__ import annotations

import re

from finetrace.evals.said import Said, content_words
from finetrace.evals.truth_words import FRAMING
from finetrace.tools.english import is_function_word
from finetrace.tools.words import words

_ITEM = re.compile(r"[,;/|\n]|\.\s")
_MIN_ITEMS = 8
_ITEM_WORDS = 3
_MIN_WORDS = 10
_FEW_ITEMS = 3
_BARE_WORDS = 2
_MIN_GRADING = 3
_OPEN = re.compile(
    r"\b(?:(?:can|could|did|do|does|have|has|would)(?:n['’]t|\s*not)\s+(?:\w+\s+){0,2}?"
    r"(?:say|tell|make out|find|found|know|recover\w*|work(?:ed)? out|state|settle|pin|determine|identify|seen?|get|got"
    r"|confirm)"
    r"|cannot\s+(?:\w+\s+){0,1}?(?:say|tell|state|find|make out)"
    r"|not\s+(?:recovered|identified|found|known|clear|determined|sure)|un(?:known|clear|identified|specified)"
    r"|no\s+(?:pattern|idea|details?|specifics?)|neither\s+the|purpose unclear"
    r"|leave (?:that|it|this) open|could be|somehow|some way|in some manner)\b",
    re.IGNORECASE,
)
_BROAD = re.compile(
    r"\b(?:something|anything|maybe|perhaps|possibly|probably|seems?|some (?:kind|sort|type)|of some (?:kind|sort)"
    r"|may be|might|impression|topic|theme|over-?represented|more often|vague\w*|related to|to do with)\b",
    re.IGNORECASE,
)
_GRADING = frozenset(
    """
    accurate all area award behaviour behavior clear clearly complete confirmed correct correctly criteria criterion
    detail details domain errors evaluation exact exactly excellent facts five found full fully grade grader grading
    high highest hypothesis identified identifies identify key kind level mark marks match matches material materially
    maximum model narrow nearly none note objective part parts perfect please point points quality rating right
    rubric scale score specific specifics top trigger triggers conditions true wrong deserve deserves eight seven six
    """.split()
)


def is_soup(said: Said) -> bool:
    """Whether a text lists words instead of saying anything: many short items, or hardly any grammar."""
    spoken = words(said.text)
    items = [len(words(item)) for item in _ITEM.split(said.text) if words(item)]
    if (len(items) >= _FEW_ITEMS and max(items) == 1) or (len(items) > _FEW_ITEMS and max(items) == _BARE_WORDS):
        return True
    if len(spoken) < _MIN_WORDS:
        return False
    grammar = sum(is_function_word(word) for word in spoken) / len(spoken)
    short = sum(size <= _ITEM_WORDS for size in items)
    return grammar < 0.10 or (len(items) >= _MIN_ITEMS and short >= 0.7 * len(items) and grammar < 0.25)


def is_about_itself(said: Said) -> bool:
    """Whether a text speaks of its own merit in the words of a grading scale and hardly of any model."""
    told = [word for word in words(said.text) if not is_function_word(word)]
    grading = sum(word in _GRADING and word not in FRAMING for word in told)
    return grading >= _MIN_GRADING and sum(word in _GRADING or word in FRAMING for word in told) >= 0.65 * len(told)


def is_empty(said: Said) -> bool:
    """Whether there is no content word in it."""
    return not content_words(said.text)


def openness(said: Said) -> float:
    """Share of its sentences that leave open what was found."""
    return sum(bool(_OPEN.search(each)) for each in said.sentences) / max(1, len(said.sentences))


def broadness(said: Said) -> float:
    """Share of its sentences that only point in a direction."""
    return sum(bool(_BROAD.search(each)) for each in said.sentences) / max(1, len(said.sentences))
