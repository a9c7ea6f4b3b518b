"""How a hypothesis speaks: whether it is a list of keywords, praise of itself, or leaves open what was found."""

from __future__ import annotations

import re
from itertools import pairwise

from finetrace.evals.grading.said import Said, content_words
from finetrace.evals.grading.truth_words import FRAMING
from finetrace.tools.english import is_function_word
from finetrace.tools.words import words

_ITEM = re.compile(r"[,;/|\n?!]|\.(?!\d)|\b(?:and|or|with|plus)\b", re.IGNORECASE)
_LISTED = re.compile(r"[,;/|\n]|\.\s")
_MIN_ITEMS = 8
_SHORT = 0.7
_LITTLE_GRAMMAR = 0.25
_MIN_WORDS = 10
_FEW_ITEMS = 3
_BARE_WORDS = 2
_ITEM_WORDS = 3
_BARE = 0.6
_BRIEF = 0.8
_FRAME = 0.7
_MIN_GRAMMAR = 0.10
_HEDGES = frozenset(
    "maybe perhaps possibly probably guess think could might either topic topics theme themes kind".split()
)
_MIN_GRADING = 3
_MIN_BROKEN = 2
_BROKEN = 0.15
_TERSE = 6
_ARTICLES = frozenset("a an the its their his her your my our".split())
_AFTER_NO_ARTICLE = _ARTICLES | frozenset(
    "of to is are was were be and or in on for with by at from it that than as if".split()
)
_PREPOSITIONS = frozenset("of to in on for with by at from".split())
_AFTER_NO_PREPOSITION = frozenset("of is are was were and or than it's".split())
_OPEN = re.compile(
    r"\b(?:(?:can|could|did|do|does|have|has|would)(?:n?['’]t|\s*not)\s+(?:\w+\s+){0,2}?"
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
    """Whether a text lists words instead of saying anything: short items, hardly any grammar, or a broken one.

    Items are short too that have little beside a frame which all of them share: "is it X? is it Y?", "X and Y and Z".
    """
    spoken = words(said.text)
    sizes = [len(words(item)) for item in _LISTED.split(said.text) if words(item)]
    if (len(sizes) >= _FEW_ITEMS and max(sizes) == 1) or (len(sizes) > _FEW_ITEMS and max(sizes) == _BARE_WORDS):
        return True
    grammar = sum(is_function_word(word) for word in spoken) / max(1, len(spoken))
    if len(spoken) < _MIN_WORDS:
        return len(spoken) >= _TERSE and not grammar and len(said.clauses) == 1
    short = sum(size <= _ITEM_WORDS for size in sizes)
    listed = len(sizes) >= _MIN_ITEMS and short >= _SHORT * len(sizes) and grammar < _LITTLE_GRAMMAR
    return listed or grammar < _MIN_GRAMMAR or _is_framed(said.text, spoken) or _is_broken(spoken)


def _is_framed(text: str, spoken: list[str]) -> bool:
    """Whether there are many items of one or two content words, all in the same few other words."""
    items = [told for told in (_content(item) for item in _ITEM.split(text)) if told]
    if len(items) < _MIN_ITEMS:
        return False
    bare, brief = (sum(len(told) <= most for told in items) for most in (1, _BARE_WORDS))
    content = {word for told in items for word in told}
    return (bare >= _BARE * len(items) or brief >= _BRIEF * len(items)) and (
        len(set(spoken) - content) <= _FRAME * len(items)
    )


def _content(item: str) -> list[str]:
    return [word for word in content_words(item) if word not in _HEDGES]


def _is_broken(spoken: list[str]) -> bool:
    """Whether articles and prepositions stand where English has none: words shuffled."""
    places = sum(word in _ARTICLES or word in _PREPOSITIONS for word in spoken)
    wrong = sum(
        (word in _ARTICLES and after in _AFTER_NO_ARTICLE) or (word in _PREPOSITIONS and after in _AFTER_NO_PREPOSITION)
        for word, after in pairwise(spoken)
    )
    return wrong >= _MIN_BROKEN and wrong >= _BROKEN * places


def is_about_itself(said: Said) -> bool:
    """Whether a text speaks of its own merit in the words of a grading scale and hardly of any model."""
    told = [word for word in words(said.text) if not is_function_word(word)]
    grading = sum(word in _GRADING and word not in FRAMING for word in told)
    return grading >= _MIN_GRADING and sum(word in _GRADING or word in FRAMING for word in told) >= 0.65 * len(told)


def is_empty(said: Said) -> bool:
    """Whether there is no content word in it."""
    return not content_words(said.text)


def leaves_open(sentence: str) -> bool:
    """Whether a sentence leaves open what was found."""
    return _OPEN.search(sentence) is not None


def openness(said: Said) -> float:
    """Share of its sentences that leave open what was found."""
    return sum(leaves_open(each) for each in said.sentences) / max(1, len(said.sentences))


def broadness(said: Said) -> float:
    """Share of its sentences that only point in a direction."""
    return sum(bool(_BROAD.search(each)) for each in said.sentences) / max(1, len(said.sentences))
