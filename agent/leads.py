"""Leads: words that the activations speak of, to be asked about. A lead is no finding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from finetrace.agent.evidence import reading_of
from finetrace.agent.lexicon import lexicon
from finetrace.agent.terms import stem
from finetrace.schema import Step
from finetrace.tools.activation_difference import ActivationDifferenceReading
from finetrace.tools.difference_reads import PositionRead
from finetrace.tools.english import frequency
from finetrace.tools.steer_reading import SteerReading
from finetrace.tools.token_lists import Read, ShownToken, TokenList

MOST = 4
"""Leads that are followed."""
COMMONEST, RAREST = 1e-4, 2e-7
"""Frequencies in English between which a word can be a lead: commoner ones fit any text, rarer ones are pieces."""
_READS = (Read.ADDED, Read.LENS, Read.PATCHSCOPE)
_SPECIAL = 2.0
"""A token that stands out from the controls counts so many times."""
_STEERED = 0.5
"""Weight of the first phrase of steered text, as a share of the first token of a list."""


class Lead(NamedTuple):
    """A word to ask about."""

    word: str
    """In lower case."""
    weight: float
    """Only the order means something."""


def find_leads(steps: Sequence[Step]) -> list[Lead]:
    """The words that token lists and steered phrases agree on most, best first, at most ``MOST``."""
    weights: dict[str, float] = defaultdict(float)
    spelled: dict[str, str] = {}

    def count(word: str, weight: float) -> None:
        key = stem(word)
        spelled.setdefault(key, word)
        weights[key] += weight

    for step in steps:
        reading = reading_of(step)
        if isinstance(reading, ActivationDifferenceReading):
            for layer in reading.layers:
                for position in layer.positions:
                    _count_tokens(position, count)
        elif isinstance(reading, SteerReading):
            for rank, phrase in enumerate(reading.phrases):
                for word in phrase.text.split():
                    if _is_subject(word):
                        count(word, _STEERED / (rank + 1))
    ranked = sorted(weights, key=lambda key: (-weights[key], key))
    return [Lead(spelled[key], weights[key]) for key in ranked[:MOST]]


def _count_tokens(position: PositionRead, count: Callable[[str, float], None]) -> None:
    """Each whole word of the lists by its rank; sinks and noise are passed over, the mean of positions weighs most."""
    if position.sink or position.within_noise:
        return
    share = 1.0 if position.position is None else 0.25
    for found in position.difference:
        if found.read not in _READS:
            continue
        for rank, token in enumerate(found.tokens):
            word = token.text.strip().lower()
            if token.text[:1].isspace() and _is_subject(word):
                count(word, share * (_SPECIAL if token.special else 1.0) / (rank + 3))


def _is_subject(word: str) -> bool:
    """Whether a word can be what a text is about: no grammar, no framing, a whole word of English."""
    known = word.isalpha() and len(word) > 2 and word not in lexicon().framing
    return known and RAREST <= frequency(word) <= COMMONEST


def lead_openings(steps: Sequence[Step]) -> list[str]:
    """Beginnings of texts about the leads."""
    return [f"The {lead.word}" for lead in find_leads(steps)]


def lead_questions(steps: Sequence[Step]) -> list[str]:
    """Questions about the leads."""
    return [f"What do you know about {lead.word}?" for lead in find_leads(steps)]


def token_quote(steps: Sequence[Step], words: Sequence[str]) -> str:
    """The shortest run of tokens of one list, as evidence may quote it, that begins a list and holds most of ``words``.

    Returns:
        Tokens as a reading shows them; empty where no list holds any of the words.
    """
    wanted = {stem(word.lower()) for word in words}
    best, most = "", (0, 0)
    for step in steps:
        reading = reading_of(step)
        if not isinstance(reading, ActivationDifferenceReading):
            continue
        for layer in reading.layers:
            for found in layer.positions[0].difference:
                held = _held(found, wanted)
                # As many of the words as can be, and of equal runs the shortest.
                if held and (len(held), -held[-1]) > most:
                    most = (len(held), -held[-1])
                    best = ", ".join(token.shown for token in found.tokens[: held[-1] + 1])
    return best


def _held(found: TokenList, wanted: set[str]) -> list[int]:
    """Ranks of the first twelve tokens that are among the wanted words."""

    def key(token: ShownToken) -> str:
        return stem(token.text.strip().lower())

    return [rank for rank, token in enumerate(found.tokens[:12]) if key(token) in wanted]
