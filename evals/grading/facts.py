"""One key fact against a hypothesis: found, missed or contradicted.

A fact is found where one passage states it: the passage has its meaning and its telling words, beyond the subject that
all the facts share. Words gathered from all over a text state nothing. Near is not enough: opposites lie as near as
paraphrases do. So numbers, names in quotation marks, denials and opposites are compared as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from finetrace.evals.grading.contradictions import has_other_number, opposite, other_name, other_number
from finetrace.evals.grading.grade import FactGrade, FactOutcome
from finetrace.evals.grading.heard import Support, shared_stems, supports
from finetrace.evals.grading.opposites import Side, taken_sides
from finetrace.evals.grading.quantities import numbers
from finetrace.evals.grading.said import Said, Vectors

FOUND = 0.37
"""How far a passage must state a fact for it to count as found."""
ABOUT = 0.40
"""Cosine from which a passage is about the same thing as a fact, so that it can contradict it."""
NEAR = 0.50
"""The same where they share no telling word."""
ABOUT_NAME = 0.20
"""The same for facts that quote a word or phrase: little else need be said of it."""
_AS_WELL = 0.8
"""How well a contradiction must be stated, beside the fact, for the two to cancel out."""


class FactFinding(NamedTuple):
    """A fact, how well it is stated, and what became of it."""

    grade: FactGrade
    stated: float
    """0 to about 1, by the passage that states it best; halved where contradicted."""


class _Others(NamedTuple):
    """What the other facts of a truth have, which contradicts none."""

    numbers: frozenset[Fraction]
    sides: frozenset[Side]
    stems: frozenset[str]
    """Stems that tell no fact from the others."""


class _Against(NamedTuple):
    """What is said against a fact; nothing where the note is empty."""

    note: str
    stated: float = 0.0
    """How far the passage that says it would else state the fact."""
    clause: str = ""


def weigh_facts(facts: Sequence[str], said: Said, vectors: Vectors, objective: str = "") -> list[FactFinding]:
    """Compare every fact with what was said, in order. What another of the facts says contradicts none.

    Args:
        facts: The key facts, or other statements of a truth.
        said: The hypothesis.
        vectors: The encoder.
        objective: What else holds.
    """
    if not said.passages or not facts:
        return [FactFinding(FactGrade(fact=fact, outcome=FactOutcome.MISSED), 0.0) for fact in facts]
    known, common = numbers(" . ".join(facts)), shared_stems(facts)
    taken = [taken_sides(each) for each in (*facts, objective)]
    findings = []
    for place, (fact, support) in enumerate(zip(facts, supports(facts, said, vectors), strict=True)):
        sides = frozenset(side for other, each in enumerate(taken) if other != place for side in each)
        findings.append(_weigh(fact, said, support, _Others(known, sides, common)))
    return findings


def _weigh(fact: str, said: Said, support: Support, others: _Others) -> FactFinding:
    free = [not has_other_number(fact, each, said.sentence_of[each]) for each in said.passages]
    stating = np.where(free, support.stated, 0.0)
    place = int(stating.argmax())
    stated, passage = max(0.0, float(stating[place])), said.passages[place]
    against = _against(fact, said, support, others)
    outcome, note = FactOutcome.MISSED, against.note
    if stated >= FOUND and (not against.note or against.stated < _AS_WELL * stated):
        outcome, note = FactOutcome.FOUND, passage
    elif stated >= FOUND and against.clause not in passage:
        note = f"says this and {against.note}"
    elif against.note:
        outcome = FactOutcome.CONTRADICTED
    part = 0.5 if outcome is FactOutcome.CONTRADICTED else 1.0
    return FactFinding(FactGrade(fact=fact, outcome=outcome, note=note), part * stated)


def _against(fact: str, said: Said, support: Support, others: _Others) -> _Against:
    nearest = int(support.cosines.argmax())
    cosine, passage = float(support.cosines[nearest]), said.passages[nearest]
    if cosine >= ABOUT_NAME and (note := other_name(fact, said)):
        return _Against(note, 1.0, passage)
    if cosine >= ABOUT and (note := other_number(fact, said, passage, others.numbers)):
        return _Against(note, 1.0, passage)
    places = {each: place for place, each in enumerate(said.passages)}
    near_first = sorted(dict.fromkeys(said.clauses), key=lambda each: -support.cosines[places[each]])
    for clause in near_first:
        cosine = float(support.cosines[places[clause]])
        if cosine < ABOUT:
            break
        if note := opposite(fact, clause, others.stems, others.sides, near=cosine >= NEAR):
            return _Against(note, float(support.stated[places[clause]]), clause)
    return _Against("")
