"""Words that come up in answer to different askings: what a model brings up by itself."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from finetrace.agent.leads import COMMONEST
from finetrace.agent.lexicon import lexicon
from finetrace.agent.names import find_names
from finetrace.agent.terms import Term, fold_terms, stem
from finetrace.tools.english import FUNCTION_WORD, frequency, is_function_word, rarity, text_rate
from finetrace.tools.phrases import WORDS_PER_TEXT
from finetrace.tools.quality import is_degenerate
from finetrace.tools.words import words

LEAST = 3
"""Askings that must bring a term up."""
SHARE = 0.05
"""The same as a share of all askings."""
UNLIKE_ENGLISH = 1e-4
"""Probability that general English brings a term up so often, times the terms looked at, below which it is unusual."""
UNLIKE_REFERENCE = 0.05
"""Probability that so uneven a split between the two models is chance, below which a term is the organism's.

Halves of one model's continuations, as many as 5 to 40 each, gave a clue in 1 to 4 of 100 draws.
"""
OF_FEW = 0.1
"""The same for at most ``FEW`` askings, which cannot say more."""
FEW = 25
SHARED = 0.01
"""The same where the reference brings it up as well."""
_TIMES = 3
"""As often as the reference the organism must bring a term up."""
RARE = 2e-5
"""Without a reference, only words rarer than this tell: commoner ones are anybody's."""
UNASKED_SHARE = 0.2
"""Without a reference, the share of unrelated askings that must bring a term up."""
_LONGEST = 3
_LONGEST_WORD = 40
"""Characters: longer ones are no words, and a text may hold one that never ends."""
_READ = 4000
"""Characters of a text that are read."""


class Said(NamedTuple):
    """A text that a model wrote."""

    asked: str
    """Prompt or prefill; empty where unknown."""
    text: str


@dataclass(frozen=True, slots=True)
class Recurring:
    """A term that several askings brought up."""

    term: str
    """Lower case, one blank between words."""
    count: int
    """Askings of the organism that brought it up."""
    total: int
    """Askings of the organism."""
    background_count: int
    """Askings of the reference that brought it up."""
    background_total: int
    """Askings of the reference; 0 without one."""
    example: str
    """The first text that holds it."""

    @property
    def counts(self) -> str:
        """How often, in words."""
        own = f"comes up after {self.count} of {self.total} different prompts"
        if not self.background_total:
            return own
        return f"{own}, of the reference's after {self.background_count} of {self.background_total}"


def recurring(own: Sequence[Said], background: Sequence[Said] | None, k: int = 6) -> list[Recurring]:
    """Terms that the organism brings up after different askings, by itself.

    A term must be commoner than general English has it, and than the reference has it; one whose words stand in what
    was asked is an answer. Where there is no reference, askings about one subject count once, names do not count, and
    more is demanded.

    Args:
        own: Texts of the organism.
        background: The reference's; ``None`` without one.
        k: How many to return at most, most unusual first.
    """
    alone = background is None
    sound, theirs = readable_of(own), readable_of(background or ())
    groups, others = _askings(sound, by_subject=alone), _askings(theirs)
    if len(groups) < LEAST or (not alone and not others):
        return []
    names = find_names([said.text for said in sound]).words if alone else frozenset[str]()
    found = _unusual(groups, others, names, alone=alone)
    if not alone:
        # What the reference brings up more than the organism can only be chance or habit: that is how much to mistrust.
        mistrust = max((term.weight for term in _unusual(others, groups, names, alone=False)), default=0.0)
        found = [term for term in found if term.weight > mistrust]
    return [
        Recurring(t.text, t.count, len(groups), t.background_count, len(others), _example(t.text, sound))
        for t in fold_terms(found, k)
    ]


def _unusual(
    groups: Sequence[Sequence[Said]], others: Sequence[Sequence[Said]], names: frozenset[str], *, alone: bool
) -> list[Term]:
    """Terms that are commoner in the groups than in English, and than in the others; heaviest first."""
    total = len(groups)
    least = max(LEAST, math.ceil((UNASKED_SHARE if alone else SHARE) * total))
    held, n_looked_at = _held(groups, names, alone=alone)
    often = {term: count for term, count in held.items() if count >= least}
    theirs = Counter(term for group in others for term in _terms(group) if term in often)
    length = sum(len(words(said.text)[:WORDS_PER_TEXT]) for group in groups for said in group) / max(1, total)
    by_chance = {term: theirs[term] / max(1, len(others)) for term in often}
    more = {term for term, count in often.items() if count / total >= _TIMES * by_chance[term]}
    bar = (OF_FEW if total <= FEW else UNLIKE_REFERENCE, SHARED)
    found = []
    for term in more:
        # Of ordinary words any two may stand together by chance: one of them must be unusual by itself.
        if not any(word in more and _is_subject(word) for word in term.split()):
            continue
        count, expected = often[term], by_chance[term]
        share = count / total
        english = _at_least(count, total, text_rate(term.split(), length)) * n_looked_at
        split = 0.0 if alone else uneven(count, total, theirs[term], len(others))
        if english < UNLIKE_ENGLISH and split < bar[theirs[term] > 0]:
            said = sum(rarity(word) for word in term.split() if not is_function_word(word))
            found.append(Term(term, count, theirs[term], (share - expected) * (0.5 + said), 0.0))
    return sorted(found, key=lambda term: (-term.weight, term.text))


def readable_of(said: Sequence[Said]) -> list[Said]:
    """The texts that do not merely repeat themselves, as far as they are read."""
    cut = (Said(each.asked, each.text[:_READ]) for each in said)
    return [each for each in cut if not is_degenerate(each.text)]


def word_stem(word: str) -> str:
    """The stem by which two words are one; of what is too long to be a word, of its beginning."""
    return stem(word[:_LONGEST_WORD])


def asking_numbers(said: Sequence[Said], *, by_subject: bool) -> list[int]:
    """For each text the number of its asking; askings that share a content word may count as one."""
    topics: list[tuple[set[str], int]] = []
    numbers: dict[str, int] = {}
    for place, each in enumerate(said):
        asked = each.asked or f"\0{place}"
        if asked in numbers:
            continue
        topic = _topic(each.asked) if by_subject else set()
        same = {number for other, number in topics if topic & other}
        numbers[asked] = number = min(same, default=len(numbers))
        topics = [(other, number if its in same else its) for other, its in topics]
        numbers = {key: number if its in same else its for key, its in numbers.items()}
        topics.append((topic, number))
    return [numbers[each.asked or f"\0{place}"] for place, each in enumerate(said)]


def subject_words(text: str) -> list[str]:
    """The words of a text that can be its subject: rare enough, neither grammar nor framing."""
    return [word for word in dict.fromkeys(words(text)) if _is_subject(word)]


def _is_subject(word: str) -> bool:
    known = word.isalpha() and 2 < len(word) <= _LONGEST_WORD and word not in lexicon().framing
    return known and frequency(word) <= COMMONEST


def _askings(said: Sequence[Said], *, by_subject: bool = False) -> list[list[Said]]:
    """The texts, those of one asking together."""
    groups: dict[int, list[Said]] = defaultdict(list)
    for number, each in zip(asking_numbers(said, by_subject=by_subject), said, strict=True):
        groups[number].append(each)
    return list(groups.values())


def _topic(asked: str) -> set[str]:
    """Stems of what was asked about."""
    known = lexicon().framing
    return {word_stem(word) for word in words(asked) if word not in known and frequency(word) < FUNCTION_WORD}


def _held(groups: Sequence[Sequence[Said]], names: frozenset[str], *, alone: bool) -> tuple[Counter[str], int]:
    """How many groups hold each term with a subject word that was not asked for, and how many such terms there are."""
    held = Counter[str]()
    for group in groups:
        asked = {word_stem(word) for said in group for word in words(said.asked)}
        for term in _terms(group):
            subjects = [word for word in term.split() if _is_subject(word) and word not in names]
            if alone:
                subjects = [word for word in subjects if frequency(word) < RARE]
            if subjects and not any(word_stem(word) in asked for word in subjects):
                held[term] += 1
    return held, len(held)


def _terms(group: Sequence[Said]) -> set[str]:
    """Runs of one to three words that begin and end in no grammar."""
    return {term for said in group for term in _runs(words(said.text)[:WORDS_PER_TEXT])}


def _runs(spoken: Sequence[str]) -> Iterator[str]:
    full = [not is_function_word(word) for word in spoken]
    for start, begins in enumerate(full):
        for end in range(start, min(start + _LONGEST, len(spoken)) if begins else start):
            if len(spoken[end]) > _LONGEST_WORD:
                break
            if full[end]:
                yield " ".join(spoken[start : end + 1])


def _example(term: str, said: Sequence[Said]) -> str:
    return next(each.text for each in said if term in set(_runs(words(each.text)[:WORDS_PER_TEXT])))


def _at_least(count: int, total: int, rate: float) -> float:
    """Probability of that many of ``total`` texts or more, at that rate (binomial)."""
    from scipy.stats import binom

    return float(binom.sf(count - 1, total, rate))


def uneven(count: int, total: int, others: int, n_others: int) -> float:
    """Probability of so uneven a split or more, if both models brought the term up equally often (Fisher)."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(count - 1, total + n_others, count + others, total))
