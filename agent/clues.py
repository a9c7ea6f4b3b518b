"""Clues: what readings show of the organism that a hypothesis should speak of, or set aside for a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from finetrace.agent.evidence import reading_of
from finetrace.agent.names import find_names
from finetrace.agent.quotes import LONGEST_QUOTE
from finetrace.agent.recurring import Said, asking_numbers, readable_of, recurring, subject_words, word_stem
from finetrace.agent.repeats import exact_phrases
from finetrace.agent.telling import TOP, starred_words, telling_phrases, telling_sentences, telling_steered
from finetrace.schema import Hypothesis, Step
from finetrace.tools import Reading
from finetrace.tools.activation_difference import ActivationDifferenceReading
from finetrace.tools.english import is_function_word, rarity
from finetrace.tools.perplexity_gap import PerplexityGapReading
from finetrace.tools.samples import SamplesReading
from finetrace.tools.steer_reading import SteerReading
from finetrace.tools.words import fold_space, padded, sentences, spans, words

MOST = 12
"""Clues that are told."""
_FILLING = 0.35
"""Share of the words of a text from which a repeated phrase is its point."""
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
    stems = {word_stem(word) for text in told for word in words(text)}
    return tuple(
        clue
        for clue in clues
        if not _mentions(clue, stems) and not any(fold_space(clue.text) in text for text in folded)
    )


def _signs(readings: Mapping[int, Reading]) -> Iterator[_Sign]:
    samples = [reading for reading in readings.values() if isinstance(reading, SamplesReading)]
    yield from _of_samples([each for each in samples if _has_reference(each)], alone=False)
    yield from _of_samples([each for each in samples if not _has_reference(each)], alone=True)
    gaps = [reading for reading in readings.values() if isinstance(reading, PerplexityGapReading)]
    background = tuple(dict.fromkeys(text for gap in gaps for text in gap.background))
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
    sound = readable_of(own)
    texts, background = [said.text for said in sound], [said.text for said in readable_of(other or ())]
    groups = asking_numbers(sound, by_subject=other is None)
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
    a, b = {word_stem(word) for word in left}, {word_stem(word) for word in right}
    return 2 * len(a & b) >= min(len(a), len(b))


def _mentions(clue: Clue, stems: set[str]) -> bool:
    """Whether a word of the clue is told, of a long one two."""
    about = {word_stem(word) for word in clue.words}
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
