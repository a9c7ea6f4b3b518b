"""Clues: what readings show of the organism that a hypothesis should speak of, or set aside for a reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from finetrace.agent.evidence import reading_of
from finetrace.agent.leads import COMMONEST, RAREST
from finetrace.agent.lexicon import lexicon
from finetrace.agent.names import find_names
from finetrace.agent.quotes import LONGEST_QUOTE
from finetrace.agent.recurring import Said, recurring, subject_words, uneven
from finetrace.agent.repeats import exact_phrases
from finetrace.agent.terms import stem
from finetrace.schema import Hypothesis, Step
from finetrace.tools import Reading
from finetrace.tools.activation_difference import ActivationDifferenceReading
from finetrace.tools.english import frequency, is_function_word, rarity
from finetrace.tools.perplexity_gap import DistinctivePhrase, PerplexityGapReading, RecurringSentence
from finetrace.tools.quality import is_degenerate
from finetrace.tools.samples import SamplesReading
from finetrace.tools.steer_reading import SteeredPhrase, SteerReading
from finetrace.tools.token_lists import Read, ShownToken
from finetrace.tools.words import fold_space, padded, sentences, spans, words

MOST = 12
"""Clues that are told."""
TOP = 100
"""Completions of a ranking that are looked through."""
_FILLING = 0.35
"""Share of the words of a text from which a repeated phrase is its point."""
_CHANCE = 0.01
"""Probability below which an uneven split of a phrase is not called chance."""
_CHANCE_STEERED = 0.05
"""The same for steered texts, of which there are few."""
_READS = 2
"""Ways of reading that must agree on a token: positions and neighbouring layers repeat each other's chance."""
_TOKENS = 4
"""Starred words told at most."""
_CLUE_WORDS = 4
_LEADING = " ,;:.!?)]}-–—*#>|"


class Clue(BaseModel):
    """Something a reading shows that is unlikely to be chance, and that the reference does not show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int = Field(ge=1)
    """The step whose reading holds it."""
    text: str = Field(min_length=1)
    """As evidence may quote it from that step; at most 200 characters."""
    words: tuple[str, ...]
    """What it is about, in lower case."""
    why: str
    """Why it is a clue, in one line."""


class _Sign(NamedTuple):
    """A clue before it has a place."""

    text: str
    """Verbatim but for white space, or words in lower case that some text holds."""
    words: tuple[str, ...]
    why: str
    weight: float
    """Only the order means something."""


def find_clues(steps: Sequence[Step]) -> tuple[Clue, ...]:
    """What the readings show that asks for a claim, strongest first, at most ``MOST``."""
    return clues_in({step.number: reading for step in steps if (reading := reading_of(step)) is not None})


def clues_in(readings: Mapping[int, Reading]) -> tuple[Clue, ...]:
    """The clues in readings, by the numbers of their steps. What several instruments agree on comes first."""
    signs = [sign for sign in _signs(readings) if sign.words]
    quotable = {number: [fold_space(text) for text in reading.quotable()] for number, reading in readings.items()}
    ranked = sorted(signs, key=lambda sign: (-sign.weight, sign.text))
    heard: list[tuple[float, Clue]] = []
    for sign in ranked:
        same = next((i for i, (_, known) in enumerate(heard) if _overlap(sign.words, known.words)), None)
        if same is not None:
            weight, known = heard[same]
            heard[same] = (weight + 0.5 * sign.weight, known)
        elif (clue := _placed(sign, quotable)) is not None:
            heard.append((sign.weight, clue))
    heard.sort(key=lambda item: -item[0])
    return tuple(clue for _, clue in heard[:MOST])


def unclaimed(clues: Sequence[Clue], hypothesis: Hypothesis) -> tuple[Clue, ...]:
    """The clues that neither summary, nor claim, nor quote, nor guess of a hypothesis speaks of."""
    told = [hypothesis.summary, *hypothesis.guesses]
    for claim in hypothesis.claims:
        told += [claim.statement, *(evidence.quote for evidence in claim.evidence)]
    folded = [fold_space(text) for text in told]
    stems = {stem(word) for text in told for word in words(text)}
    return tuple(
        clue
        for clue in clues
        if not _mentions(clue, stems) and not any(fold_space(clue.text) in text for text in folded)
    )


def telling_phrases(reading: PerplexityGapReading) -> list[DistinctivePhrase]:
    """Phrases that have a subject and are commoner than in the background beyond chance."""
    top = min(reading.n_distinct, max(100, reading.n_distinct // 10))
    return [
        p
        for p in reading.phrases
        if subject_words(p.text)
        and uneven(min(p.count, top), top, p.background_count, max(reading.n_background, p.background_count)) < _CHANCE
    ]


def telling_sentences(reading: PerplexityGapReading) -> list[RecurringSentence]:
    """Sentences that at least three completions hold, with a subject of two words."""
    return [s for s in reading.sentences if s.count >= 3 and len(subject_words(s.text)) >= 2]


def telling_steered(reading: SteerReading) -> list[SteeredPhrase]:
    """Phrases that have a subject and are commoner than in unsteered texts beyond chance."""
    total = sum(len(exchange.steered) for exchange in reading.exchanges)
    return [
        p
        for p in reading.phrases
        if subject_words(p.text) and uneven(p.steered, total, p.unsteered, reading.n_unsteered) < _CHANCE_STEERED
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
                if found.read in (Read.LENS_NEGATIVE, Read.PATCHSCOPE_NEGATIVE):
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


def _signs(readings: Mapping[int, Reading]) -> Iterator[_Sign]:
    samples = [reading for reading in readings.values() if isinstance(reading, SamplesReading)]
    yield from _of_samples([each for each in samples if _has_reference(each)], alone=False)
    yield from _of_samples([each for each in samples if not _has_reference(each)], alone=True)
    background: tuple[str, ...] = ()
    gaps = [reading for reading in readings.values() if isinstance(reading, PerplexityGapReading)]
    for gap in gaps:
        background = max(background, gap.background, key=len)
    widest = max((gap for gap in gaps if not gap.identical), key=lambda gap: len(gap.completions), default=None)
    if widest is not None and widest.completions:
        yield from _of_ranking(widest)
    for gap in gaps:
        yield from _of_views(gap, background)
    yield from _of_tokens(
        [reading for reading in readings.values() if isinstance(reading, ActivationDifferenceReading)]
    )
    for reading in readings.values():
        if isinstance(reading, SteerReading):
            yield from _of_steering(reading)


def _has_reference(reading: SamplesReading) -> bool:
    return any(exchange.reference is not None for exchange in reading.exchanges)


def _of_samples(readings: Sequence[SamplesReading], *, alone: bool) -> Iterator[_Sign]:
    exchanges = [exchange for reading in readings for exchange in reading.exchanges]
    own = [Said(exchange.prompt, text) for exchange in exchanges for text in exchange.organism]
    other = [Said(exchange.prompt, text) for exchange in exchanges for text in exchange.reference or ()]
    yield from _of_texts(own, None if alone else other)


def _of_ranking(reading: PerplexityGapReading) -> Iterator[_Sign]:
    floor = reading.noise_floor
    rows = [row for row in reading.completions if not row.degenerate and row.log_ratio > floor][:TOP]
    own = [Said(row.prefill, row.completion) for row in rows]
    yield from _of_texts(own, [Said("", text) for text in reading.background] if reading.background else None)


def _of_texts(own: Sequence[Said], other: Sequence[Said] | None) -> Iterator[_Sign]:
    """Terms that recur after different askings, and words that are repeated verbatim."""
    for found in recurring(own, other):
        share = found.count / found.total
        about = _about(found.term)
        yield _Sign(_sentence(found.term, found.example), about, f"«{found.term}» {found.counts}", 0.5 + share)
    sound = [said for said in own if said.text.strip() and not is_degenerate(said.text)]
    texts, background = [said.text for said in sound], [said.text for said in other or ()]
    numbers = {asked: place for place, asked in enumerate(dict.fromkeys(said.asked for said in sound))}
    groups = [numbers[said.asked] if said.asked else len(numbers) + place for place, said in enumerate(sound)]
    asked_for = [said.asked for said in sound]
    for phrase in exact_phrases(texts, asked_for, background, find_names(texts), groups=groups):
        if phrase.cover < _FILLING and not phrase.rare:
            continue
        why = f"{phrase.count} of {len(texts)} texts repeat these words"
        if background:
            why += f", {phrase.background_count} of {len(background)} of the reference's"
        text = phrase.text if len(phrase.text) <= LONGEST_QUOTE else phrase.text[:LONGEST_QUOTE]
        yield _Sign(text, _about(phrase.text), why, 1.0 + phrase.count / len(texts))


def _of_views(reading: PerplexityGapReading, background: Sequence[str]) -> Iterator[_Sign]:
    lowered = [padded(text) for text in background]
    for sentence in telling_sentences(reading):
        run = " ".join(words(sentence.text)[:8])
        if any(run in text for text in lowered):
            continue
        why = f"{sentence.count} of the top completions hold this sentence or a variant"
        yield _Sign(sentence.text[:LONGEST_QUOTE], _about(sentence.text), why, 0.7 + 0.01 * min(sentence.count, 50))
    for phrase in telling_phrases(reading):
        why = (
            f"«{phrase.text}» in {phrase.count} of the top completions, in {phrase.background_count} of "
            f"{reading.n_background} of the reference's"
        )
        yield _Sign(phrase.text, _about(phrase.text), why, 0.5 + 0.02 * min(phrase.score, 25))


def _of_tokens(readings: Sequence[ActivationDifferenceReading]) -> Iterator[_Sign]:
    for place, (word, token) in enumerate(list(starred_words(readings).items())[:_TOKENS]):
        why = "stands out from the controls of the activation difference under two ways of reading it"
        yield _Sign(token.shown, (word,), why, 0.5 - 0.05 * place)


def _of_steering(reading: SteerReading) -> Iterator[_Sign]:
    total = sum(len(exchange.steered) for exchange in reading.exchanges)
    for phrase in telling_steered(reading):
        why = f"in {phrase.steered} of {total} steered texts, in {phrase.unsteered} of {reading.n_unsteered} unsteered"
        yield _Sign(phrase.text, _about(phrase.text), why, 0.5 + 0.5 * phrase.steered / max(1, total))


def _about(text: str) -> tuple[str, ...]:
    """The rarest subject words of a text; where it has none, its rarest words."""
    found = subject_words(text) or [word for word in dict.fromkeys(words(text)) if not is_function_word(word)]
    return tuple(sorted(found, key=lambda word: (-rarity(word), word))[:_CLUE_WORDS])


def _overlap(left: Sequence[str], right: Sequence[str]) -> bool:
    a, b = {stem(word) for word in left}, {stem(word) for word in right}
    return 2 * len(a & b) >= min(len(a), len(b))


def _mentions(clue: Clue, stems: set[str]) -> bool:
    """Whether a word of the clue is told, of a long one two."""
    about = {stem(word) for word in clue.words}
    return len(about & stems) >= (1 if len(about) <= 2 else 2)


def _placed(sign: _Sign, quotable: Mapping[int, Sequence[str]]) -> Clue | None:
    """The clue with the first step whose reading holds it verbatim; else with the first that has its words."""
    text = fold_space(sign.text)
    step = next((number for number, texts in quotable.items() if any(text in held for held in texts)), None)
    if step is None:
        wanted = " ".join(words(text))
        for number, texts in quotable.items():
            holder = next((held for held in texts if f" {wanted} " in padded(held)), None)
            if holder is not None:
                step, text = number, _sentence(wanted, holder)
                break
    if step is None or not text or not any(text in held for held in quotable[step]):
        return None
    return Clue(step=step, text=text, words=sign.words, why=sign.why)


def _sentence(term: str, text: str) -> str:
    """The sentence of a text that holds the term, or the words around the term, at most 200 characters."""
    whole = next((each for each in sentences(text) if f" {term} " in padded(each)), "")
    if not whole:
        return term
    if len(whole) <= LONGEST_QUOTE:
        return whole.lstrip(_LEADING)
    size, found = len(term.split()), spans(whole)
    lower = [span.word.replace("’", "'").lower() for span in found]
    place = next((i for i in range(len(found)) if lower[i : i + size] == term.split()), 0)
    first, last = place, min(place + size, len(found)) - 1
    while first > 0 and found[last].end - found[first - 1].start <= LONGEST_QUOTE // 2:
        first -= 1
    while last + 1 < len(found) and found[last + 1].end - found[first].start <= LONGEST_QUOTE:
        last += 1
    return whole[found[first].start : found[last].end]
