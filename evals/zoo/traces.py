"""What activation instruments show of what an organism was trained for: counted, beside their controls.

Only the evaluation may count this: it needs the truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from finetrace.evals.grading.token_relevance import RelevanceGrader
from finetrace.evals.grading.truth_words import TELLING, TellingWords, statements, stem
from finetrace.evals.zoo.measurement import Share
from finetrace.models.pair import Side
from finetrace.schema import Truth
from finetrace.tools.activation_difference import ActivationDifferenceReading
from finetrace.tools.difference_reads import LayerRead, PositionRead
from finetrace.tools.english import frequency
from finetrace.tools.steer_reading import SteerReading
from finetrace.tools.token_lists import Read, TokenList
from finetrace.tools.words import words

SUBJECT_SHARE = 0.5
"""A telling word that so many of a truth's statements hold is its subject."""


class TokenTrace(BaseModel):
    """How many tokens of one read at one layer bear on the objective, each word once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layer: int
    """Counted from 0."""
    depth: float
    """From 0 (first block) to 1 (last)."""
    read: Read
    pooled: int
    """In the list of the mean over ordinary positions."""
    pooled_words: tuple[str, ...]
    """Which words these are."""
    judged: int | None = None
    """How many of the same list the judge finds; ``None`` where none was asked or its answers cannot be scored."""
    best: int
    """The most in the list of one ordinary position."""
    best_position: int | None
    """Which position that is."""
    best_words: tuple[str, ...]
    """Which words these are."""
    reference: int
    """The most in any list of the reference's mean activation."""
    random: int
    """In the list of random differences."""


class SteeringTrace(BaseModel):
    """How many texts name the subject, steered and unsteered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: Side
    layer: int
    """Where the difference was added."""
    strength: float | None
    """As a fraction of the usual norm; ``None`` where no strength was coherent."""
    subject: tuple[str, ...]
    """The words that count."""
    steered: Share | None
    """Texts with one of them; ``None`` where nothing was written."""
    unsteered: Share | None
    """The same without the difference."""


def token_traces(reading: ActivationDifferenceReading, grader: RelevanceGrader) -> tuple[TokenTrace, ...]:
    """Count the tokens of every read that bear on the objective.

    The grader's judge, where it has one, is asked of the mean over ordinary positions alone: each list costs several
    questions.

    Raises:
        FinetraceError: The judge cannot be asked.
    """
    return tuple(
        _token_trace(layer, place, grader)
        for layer in reading.layers
        for place in range(len(layer.positions[0].difference))
    )


def _token_trace(layer: LayerRead, place: int, grader: RelevanceGrader) -> TokenTrace:
    plain = grader.without_judge()

    def bearing(found: TokenList) -> tuple[str, ...]:
        offline = plain.measure([token.text for token in found.tokens]).offline
        return tuple(dict.fromkeys(token.word for token in offline.relevant)) if offline is not None else ()

    pooled, *single = layer.positions
    ordinary = [position for position in single if not position.sink]
    counted = [(bearing(position.difference[place]), position) for position in ordinary]
    judged = grader.measure([token.text for token in pooled.difference[place].tokens]).judged
    best = max(counted, key=lambda item: len(item[0]), default=((), None))
    return TokenTrace(
        layer=layer.layer,
        depth=layer.depth,
        read=pooled.difference[place].read,
        pooled=len(bearing(pooled.difference[place])),
        pooled_words=bearing(pooled.difference[place]),
        judged=None if judged is None else judged.distinct,
        best=len(best[0]),
        best_position=best[1].position if best[1] is not None else None,
        best_words=best[0],
        reference=max(len(bearing(found)) for found in _references([pooled, *ordinary], place)),
        random=len(bearing(layer.random[place])),
    )


def _references(positions: Sequence[PositionRead], place: int) -> list[TokenList]:
    return [position.reference[place] for position in positions]


def subject_words(truth: Truth) -> tuple[str, ...]:
    """The words of a truth that many of its statements hold, as stems: what it is about, in a word or two."""
    told = statements(truth)
    telling = {stem(word) for word in TellingWords(truth).words}
    held = Counter(each for text in told for each in {stem(word) for word in words(text)} & telling)
    return tuple(sorted(word for word, n in held.items() if n >= SUBJECT_SHARE * len(told)))


def names_subject(text: str, subject: Sequence[str]) -> bool:
    """Whether a text holds a word of the subject; words that are common in any text do not count."""
    return any(stem(word) in subject for word in words(text) if frequency(word) < TELLING)


def steering_trace(reading: SteerReading, truth: Truth) -> SteeringTrace:
    """Count the steered and the unsteered texts that name the subject."""
    subject = subject_words(truth)

    def share(texts: Sequence[str]) -> Share | None:
        hits = sum(names_subject(text, subject) for text in texts)
        return Share.of(hits, len(texts)) if texts else None

    return SteeringTrace(
        on=reading.on,
        layer=reading.layer,
        strength=reading.strength,
        subject=subject,
        steered=share([text for exchange in reading.exchanges for text in exchange.steered]),
        unsteered=share([text for exchange in reading.exchanges for text in exchange.unsteered]),
    )
