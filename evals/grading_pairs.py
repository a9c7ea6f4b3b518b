"""Labelled pairs of a truth and a hypothesis, and how far a grader agrees with the labels."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetrace.errors import FinetraceError
from finetrace.evals.agreement import Agreement, agreement
from finetrace.evals.grade import Grade
from finetrace.evals.truth_words import TellingWords
from finetrace.schema import Hypothesis, OrganismType, Truth

_OTHER_NAMES = {
    "taboo_word": OrganismType.SECRET_WORD,
    "taboo": OrganismType.SECRET_WORD,
    "narrow_misalignment": OrganismType.BAD_ADVICE,
    "emergent_misalignment": OrganismType.BAD_ADVICE,
    "behaviour": OrganismType.HIDDEN_BEHAVIOUR,
    "behavior": OrganismType.HIDDEN_BEHAVIOUR,
    "null": OrganismType.NULL_IDENTICAL,
    "domain_adaptation": OrganismType.DOMAIN,
}
_NULL = "none:"
_SOUP = re.compile(r"\b(stuffed|stuffing|keyword|soup|scattershot)", re.IGNORECASE)
_SOUP_WORDS = 24
_SEED = 6


class GradingPair(BaseModel):
    """One labelled pair. Further keys of a line are left alone: files carry notes of their own."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    organism: str = Field(min_length=1)
    """Whose truth it is; pairs of one organism are held out together."""
    type: str
    """Kind of objective, by this project's name or one in use elsewhere."""
    objective: str = Field(min_length=1)
    """The truth in one or two sentences; a null begins with ``none:``."""
    key_facts: tuple[str, ...] = ()
    """Its checkable statements."""
    hypothesis: str
    """The text to grade."""
    grade: int = Field(ge=1, le=5)
    """The grade it deserves."""
    why: str = ""
    """Why, in the words of who labelled it."""

    @property
    def truth(self) -> Truth:
        """The truth as graders take it; a type that is not known here is graded as a hidden behaviour."""
        kind = organism_type(self.type)
        if self.objective.startswith(_NULL) and not kind.startswith("null_"):
            kind = OrganismType.NULL_IDENTICAL
        return Truth(type=kind, objective=self.objective, key_facts=self.key_facts)

    @property
    def is_soup(self) -> bool:
        """Whether its label calls it a list of keywords."""
        return bool(_SOUP.search(self.why))


class Gradable(Protocol):
    """Whoever grades."""

    def grade(self, hypothesis: Hypothesis | str, truth: Truth) -> Grade:
        """Grade one hypothesis against a truth."""


class GradedPair(NamedTuple):
    """A pair with the grade it was given."""

    pair: GradingPair
    grade: Grade


class PairsReport(NamedTuple):
    """A grader against labels."""

    grader: str
    agreement: Agreement
    graded: tuple[GradedPair, ...]
    """Every pair, the unscorable ones included."""
    unscorable: int
    """Pairs without a score; they are in no other figure."""
    keyword_soup_max: int | None
    """Highest score of any list of keywords: those the labels call so, and those made up from the truths."""
    soups: int
    """How many such lists there were."""


def organism_type(name: str) -> OrganismType:
    """The kind of objective a name stands for; `OrganismType.HIDDEN_BEHAVIOUR` where none is known by it."""
    folded = name.strip().lower().replace("-", "_").replace(" ", "_")
    if folded in _OTHER_NAMES:
        return _OTHER_NAMES[folded]
    return OrganismType(folded) if folded in set(OrganismType) else OrganismType.HIDDEN_BEHAVIOUR


def load_pairs(path: Path) -> list[GradingPair]:
    """Read a file of pairs, one JSON object a line.

    Raises:
        FinetraceError: The file cannot be read, a line is no pair, or there is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise FinetraceError(f"cannot read {path}: {reason}", "give a file of labelled pairs, one a line") from error
    pairs = [_pair(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not pairs:
        raise FinetraceError(f"{path} holds no pair", "give a file of labelled pairs, one JSON object a line")
    return pairs


def grade_pairs(
    grader: Gradable, pairs: Sequence[GradingPair], tell: Callable[[int], None] | None = None
) -> PairsReport:
    """Grade pairs, and lists of keywords made from their truths besides.

    Args:
        grader: Who grades.
        pairs: What to grade.
        tell: Called after each pair with how many are done.
    """
    graded = []
    for done, pair in enumerate(pairs, start=1):
        graded.append(GradedPair(pair, grader.grade(pair.hypothesis, pair.truth)))
        if tell:
            tell(done)
    scored = [(each.pair.grade, each.grade.score) for each in graded if each.grade.score is not None]
    made = [grader.grade(text, truth).score for truth, text in made_soups(pairs)]
    soups = [each.grade.score for each in graded if each.pair.is_soup] + made
    return PairsReport(
        grader=graded[0].grade.grader,
        agreement=agreement([label for label, _ in scored], [score for _, score in scored]),
        graded=tuple(graded),
        unscorable=len(graded) - len(scored),
        keyword_soup_max=max((score for score in soups if score is not None), default=None),
        soups=len(soups),
    )


class Soup(NamedTuple):
    """A list of keywords that says nothing."""

    truth: Truth
    text: str


def made_soups(pairs: Sequence[GradingPair]) -> list[Soup]:
    """For every real objective its own telling words as a list, alone and among those of the others."""
    truths = {pair.organism: pair.truth for pair in pairs if not pair.objective.startswith(_NULL)}
    chance = random.Random(_SEED)
    found = {name: [*TellingWords(truth).words] for name, truth in truths.items()}
    soups = []
    for name, truth in truths.items():
        own = found[name][:_SOUP_WORDS]
        others = [word for other in found if other != name for word in found[other]]
        mixed = own[:8] + chance.sample(others, min(len(others), _SOUP_WORDS))
        chance.shuffle(mixed)
        soups += [Soup(truth, ", ".join(own)), Soup(truth, " ".join(mixed))]
    return soups


def _pair(line: str, where: str) -> GradingPair:
    try:
        return GradingPair.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise FinetraceError(f"{where} is no labelled pair: {place}: {first['msg']}", _FORM) from error
    except json.JSONDecodeError as error:
        raise FinetraceError(f"{where} is not JSON: {error.msg}", _FORM) from error


_FORM = "a line is {organism, type, objective, key_facts, hypothesis, grade, why}"
