"""Labelled pairs of a truth and a hypothesis, and how far a grader agrees with the labels."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetrace.errors import FinetraceError
from finetrace.evals.grading.agreement import Agreement, agreement
from finetrace.evals.grading.grade import Grade
from finetrace.evals.grading.truth_words import TellingWords
from finetrace.schema import Hypothesis, OrganismType, Truth, Usage

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

    name: str

    def grade(self, hypothesis: Hypothesis | str, truth: Truth) -> Grade:
        """Grade one hypothesis against a truth."""


class GradedPair(NamedTuple):
    """A pair with one grade that it was given."""

    pair: GradingPair
    grade: Grade
    number: int
    """Place of the pair among all, from 0."""
    repeat: int
    """Which of several grades by one grader."""


class PairsReport(NamedTuple):
    """A grader against labels."""

    grader: str
    agreement: Agreement
    graded: tuple[GradedPair, ...]
    """Every grade of every pair, pair by pair, those without a score included."""
    unscorable: int
    """Grades without a score; they are in no other figure."""
    ungraded: int
    """Grades that were not asked for any more."""
    keyword_soup_max: int | None
    """Highest score of any list of keywords: those the labels call so, and those made up from the truths."""
    soups: int
    """How many such lists there were."""
    usage: Usage
    """Of all grading, that of the lists included."""


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
    draws: Sequence[Gradable],
    pairs: Sequence[GradingPair],
    tell: Callable[[int], None] | None = None,
    *,
    overlap: int = 1,
    enough: Callable[[], bool] = lambda: False,
) -> PairsReport:
    """Grade pairs, and lists of keywords made from their truths besides.

    Args:
        draws: Who grades; several of one grader grade every pair once each, and the first the lists of keywords.
        pairs: What to grade.
        tell: Called after each grade of a pair with how many are done.
        overlap: Grades that may be waited for at the same time.
        enough: Whether to ask no more; what is left then is not graded.

    Raises:
        FinetraceError: The grader cannot be asked.
    """

    def give(text: str, truth: Truth, repeat: int) -> Grade | None:
        return None if enough() else draws[repeat].grade(text, truth)

    wanted = [(number, repeat) for number in range(len(pairs)) for repeat in range(len(draws))]
    graded = []
    with ThreadPoolExecutor(overlap) as pool:
        given = pool.map(lambda each: give(pairs[each[0]].hypothesis, pairs[each[0]].truth, each[1]), wanted)
        for done, ((number, repeat), grade) in enumerate(zip(wanted, given, strict=True), start=1):
            if grade is not None:
                graded.append(GradedPair(pairs[number], grade, number, repeat))
            if tell:
                tell(done)
        made = [*pool.map(lambda soup: give(soup.text, soup.truth, 0), made_soups(pairs))]
    scored = [(each.pair.grade, each.grade.score) for each in graded if each.grade.score is not None]
    soups = [each.grade.score for each in graded if each.pair.is_soup] + [each.score for each in made if each]
    return PairsReport(
        grader=draws[0].name,
        agreement=agreement([label for label, _ in scored], [score for _, score in scored]),
        graded=tuple(graded),
        unscorable=len(graded) - len(scored),
        ungraded=len(wanted) - len(graded),
        keyword_soup_max=max((score for score in soups if score is not None), default=None),
        soups=len(soups),
        usage=sum((grade.usage for grade in (*(each.grade for each in graded), *filter(None, made))), Usage()),
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
