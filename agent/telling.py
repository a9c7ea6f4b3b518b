"""What of an instrument's own lists has a subject and is the organism's: phrases, sentences, tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from finetrace.agent.leads import COMMONEST, RAREST
from finetrace.agent.lexicon import lexicon
from finetrace.agent.recurring import subject_words, uneven
from finetrace.tools.activation_difference import ActivationDifferenceReading
from finetrace.tools.english import frequency, rarity
from finetrace.tools.perplexity_gap import DistinctivePhrase, PerplexityGapReading, RecurringSentence
from finetrace.tools.steer_reading import SteeredPhrase, SteerReading
from finetrace.tools.token_lists import Read, ShownToken

TOP = 100
"""Completions of a ranking that are looked through."""
NEGATIVE = (Read.LENS_NEGATIVE, Read.PATCHSCOPE_NEGATIVE)
"""Reads of the opposite direction: what the organism says less."""
_CHANCE = 0.01
"""Probability below which an uneven split of a phrase is not called chance."""
_CHANCE_FEW = 0.05
"""The same for steered texts and recurring sentences, of which there are few."""
_READS = 2
"""Ways of reading that must agree on a token: positions and neighbouring layers repeat each other's chance."""


def telling_phrases(reading: PerplexityGapReading) -> list[DistinctivePhrase]:
    """Phrases that have a subject and are commoner than in the background beyond chance."""
    return [
        p for p in reading.phrases if subject_words(p.text) and _split(p.count, p.background_count, reading) < _CHANCE
    ]


def telling_sentences(reading: PerplexityGapReading) -> list[RecurringSentence]:
    """Sentences with a subject of two words that recur more often than chance allows, did the reference have none."""
    return [
        s for s in reading.sentences if len(subject_words(s.text)) >= 2 and _split(s.count, 0, reading) < _CHANCE_FEW
    ]


def _split(count: int, others: int, reading: PerplexityGapReading) -> float:
    """Probability of so uneven a split between the top of a ranking and its background."""
    top = min(reading.n_distinct, max(TOP, reading.n_distinct // 10))
    return uneven(min(count, top), top, others, max(reading.n_background, others))


def telling_steered(reading: SteerReading) -> list[SteeredPhrase]:
    """Phrases that have a subject and are commoner than in unsteered texts beyond chance."""
    total = sum(len(exchange.steered) for exchange in reading.exchanges)
    return [
        p
        for p in reading.phrases
        if subject_words(p.text) and uneven(p.steered, total, p.unsteered, reading.n_unsteered) < _CHANCE_FEW
    ]


def starred_words(readings: Sequence[ActivationDifferenceReading]) -> dict[str, ShownToken]:
    """Whole words that can be a subject and stand out from the controls under two reads, those of most lists first."""
    lists: dict[str, list[Read]] = defaultdict(list)
    shown: dict[str, ShownToken] = {}
    for layer in (layer for reading in readings for layer in reading.layers):
        for position in layer.positions:
            if position.sink or position.within_noise:
                continue
            for found in position.difference:
                if found.read in NEGATIVE:
                    continue
                for token in found.tokens:
                    word = token.text.strip().lower()
                    if token.special and token.text[:1].isspace() and _is_token_subject(word):
                        lists[word].append(found.read)
                        shown.setdefault(word, token)
    ranked = sorted(lists, key=lambda word: (-len(lists[word]), -rarity(word), word))
    return {word: shown[word] for word in ranked if len(set(lists[word])) >= _READS}


def _is_token_subject(word: str) -> bool:
    known = word.isalpha() and len(word) > 2 and word not in lexicon().framing
    return known and RAREST <= frequency(word) <= COMMONEST
