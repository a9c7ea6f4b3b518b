"""What a hypothesis says against a fact: another number, another name, the opposite, a denial."""

from __future__ import annotations

import re
from collections.abc import Set
from fractions import Fraction

from finetrace.evals.grading.manner import leaves_open
from finetrace.evals.grading.opposites import Side, denied, turned_round
from finetrace.evals.grading.quantities import numbers
from finetrace.evals.grading.said import Said, content_words
from finetrace.evals.grading.truth_words import stem
from finetrace.tools.words import words

_FEW = 3
_YEARS = (1000, 2100)
_SHORT = 20
_COUNTING = re.compile(r"\b(?:claim|guess|turn|step|item|fact|point|no\.?)\s*\d+", re.IGNORECASE)
_QUOTED = re.compile(r"(?<!\w)['‘\"“]([^'’\"”]{2,60})['’\"”](?!\w)")


def other_name(fact: str, said: Said) -> str:
    """What stands in quotation marks instead of the name that the fact quotes; empty where they do not clash."""
    names = {name.lower() for name in _QUOTED.findall(fact)}
    firm = " . ".join(each for each in said.sentences if not leaves_open(each))
    others = {name.lower() for name in _QUOTED.findall(firm)}
    if not names or not 0 < len(others) <= _FEW or any(name in said.text.lower() for name in names):
        return ""
    return f"another name: {', '.join(sorted(others))}"


def other_number(fact: str, said: Said, passage: str, known: Set[Fraction]) -> str:
    """What a passage says where a fact has a number; empty where they do not clash.

    Args:
        fact: The fact.
        said: The whole hypothesis: it may have the number elsewhere.
        passage: What is nearest to the fact.
        known: Numbers of the other facts, which contradict none.
    """
    wanted, given = numbers(fact), numbers(_COUNTING.sub(" ", passage)) - known
    return f"another number: {passage}" if wanted and given and not wanted & numbers(said.text) else ""


def has_other_number(fact: str, passage: str, sentence: str) -> bool:
    """Whether both name numbers and share none, so that the passage does not state the fact.

    A year counts from anywhere in a short sentence: it dates all that the sentence says.
    """
    wanted = numbers(fact)
    given = numbers(_COUNTING.sub(" ", passage))
    if wanted and given and not wanted & given:
        return True
    years, others = ({each for each in named if _is_year(each)} for named in (wanted, numbers(sentence)))
    return bool(years and others and not years & others and len(words(sentence)) <= _SHORT)


def _is_year(number: Fraction) -> bool:
    return number.denominator == 1 and _YEARS[0] <= number < _YEARS[1]


def opposite(fact: str, clause: str, common: Set[str], elsewhere: Set[Side], *, near: bool) -> str:
    """Where a clause says the opposite of a fact; empty where it does not.

    Args:
        fact: The fact.
        clause: A clause of what was said.
        common: Stems that tell no fact from the others.
        elsewhere: Sides of opposites that the other facts take, which are no mistake.
        near: Whether the two are close enough in meaning to be about one thing, whatever words they share.
    """
    if leaves_open(clause):
        return ""
    shared = {stem(word) for word in content_words(fact)} & {stem(word) for word in content_words(clause)}
    if (near or shared - common) and turned_round(fact, clause, elsewhere):
        return f"the opposite: {clause}"
    return f"denied: {clause}" if near and denied(fact, clause, shared) else ""
