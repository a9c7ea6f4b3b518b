"""Numbers in a text, however they are written."""

from __future__ import annotations

import re
from fractions import Fraction

_ONES = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen
""".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_PARTS = {"half": Fraction(1, 2), "quarter": Fraction(1, 4)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_SCALES |= {"decade": 10, "decades": 10, "century": 100, "centuries": 100}
_VALUES: dict[str, Fraction] = {
    **{word: Fraction(value) for value, word in enumerate(_ONES)},
    **{word: Fraction(10 * value) for value, word in enumerate(_TENS, start=2)},
    **_PARTS,
    "once": Fraction(1),
    "twice": Fraction(2),
    "dozen": Fraction(12),
}
_TOO_COMMON = {"one", "zero", "half"}
"""Words that mostly count nothing."""
_NUMBER = re.compile(r"(\d+)\s*/\s*(\d+)(?!\d)|\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|[a-z]+", re.IGNORECASE)


def numbers(text: str) -> frozenset[Fraction]:
    """The numbers a text names, in digits or in English words.

    ``1,000`` and "a thousand" are one number, so are ``1/4`` and "a quarter". Times and ranges give both their
    parts. Signs, units and ordinals are not read.
    """
    found: set[Fraction] = set()
    last: Fraction | None = None
    for match in _NUMBER.finditer(text.replace("-", " ")):
        part = match.group().lower()
        if match.group(1) is not None:
            if int(match.group(2)):
                found.add(Fraction(int(match.group(1)), int(match.group(2))))
            last = None
        elif part[0].isdigit():
            last = Fraction(part.replace(",", ""))
            found.add(last)
        else:
            last = _word(part, last, found)
    return frozenset(found)


def _word(word: str, last: Fraction | None, found: set[Fraction]) -> Fraction | None:
    """Take in a word; gives what the next word may multiply or add to."""
    if word in _SCALES:
        found.discard(last or Fraction(0))
        scaled = (last or Fraction(1)) * _SCALES[word]
        found.add(scaled)
        return scaled
    value = _VALUES.get(word)
    if value is None:
        return None
    if last is not None and last in {Fraction(10 * ten) for ten in range(2, 10)} and 0 < value < 10:
        found.discard(last)
        value += last
    if word not in _TOO_COMMON or last is not None:
        found.add(value)
    return value
