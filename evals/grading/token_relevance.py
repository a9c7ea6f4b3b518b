"""How many of the tokens an instrument shows bear on what the organism was trained for.

The offline way asks two things of a token, and one is enough. Is it a word of the truth, or the beginning of one? Or
is it nearer to one of the truth's statements, by embedding, than 99 in 100 words of general English are? So by
chance about one word in a hundred counts, whatever the objective; how many exactly is measured and stands in the
result. A judge (an LLM) may be asked beside it.

What it cannot see: tokens that bear on an objective of form rather than subject (archaic endings, another
language), and words among the 300 commonest of English, which never count. Words outside the Latin script have no
embedding here.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from copy import copy
from enum import StrEnum
from functools import cache, cached_property
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field

from finetrace.evals.grading.embedding import EMBEDDING_NAME, Embedding, find_embedding
from finetrace.evals.grading.token_judge import ask_judge
from finetrace.evals.grading.truth_words import TellingWords, is_latin, is_null, shown_word, statements
from finetrace.schema import Truth
from finetrace.tools.grading import Grader

PERCENTILE = 99.0
"""A token's cosine must be above this percentile of the cosines of general English words."""
GENERAL_WORDS = 2000
"""How many general words that percentile rests on."""
GENERAL_COMMONEST = 12_000
"""They are drawn from this many commonest words of English."""
WORDS_WAY = "the words of the truth"
EMBEDDING_WAY = f"the words of the truth, or {EMBEDDING_NAME} above the {PERCENTILE:g}th percentile of English words"
JUDGE_WAY = "a judge, three rotations of the list agreeing"

_SEED = 20


class Why(StrEnum):
    """What makes a token relevant."""

    WORD = "word"
    """It is a word of the truth or the beginning of one."""
    EMBEDDING = "embedding"
    """It is nearer to a statement of the truth than nearly all words of English."""
    JUDGE = "judge"
    """The judge said so in every rotation of the list."""


class RelevantToken(BaseModel):
    """A token that bears on the objective."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: str
    """As the instrument shows it."""
    word: str
    """In lower case, without what is no letter: tokens with the same are one word."""
    why: Why
    nearest: str | None = None
    """The word of the truth it was matched with, else the statement it is nearest to."""
    similarity: float | None = None
    """Its highest cosine with a statement of the truth; ``None`` without embeddings."""


class Judgement(BaseModel):
    """Which tokens of a list bear on the objective, by one way of judging."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    way: str
    """How it was judged, in words."""
    relevant: tuple[RelevantToken, ...]
    """In the order of the list."""
    distinct: int
    """How many different words they are."""
    share: float = Field(ge=0, le=1)
    """Relevant tokens among all of the list."""
    weighted_share: float | None = Field(default=None, ge=0, le=1)
    """The same weighted by the tokens' probabilities; ``None`` where none were given or all are 0."""


class TokenRelevance(BaseModel):
    """How far a list of tokens bears on an objective."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: tuple[str, ...]
    """The tokens judged, as shown."""
    offline: Judgement | None
    """By the words of the truth and embedding; ``None`` where there is nothing to bear on (a null, an empty list)."""
    judged: Judgement | None = None
    """By the judge; ``None`` where none was asked or its answers cannot be scored, never 0 for that."""
    chance: float | None = None
    """Share of general English words that the offline way would count: what to expect of tokens on anything else."""
    notes: tuple[str, ...] = ()
    """What a reader of the figures must know."""

    @property
    def expected(self) -> float | None:
        """How many of the tokens the offline way would count by chance."""
        return None if self.chance is None else self.chance * len(self.tokens)


class _Shown(NamedTuple):
    token: str
    word: str | None


class _Match(NamedTuple):
    why: Why
    nearest: str | None = None
    similarity: float | None = None


class RelevanceGrader:
    """Judges lists of tokens against one truth.

    Args:
        truth: What the organism was trained for.
        embedding: The encoder, or ``None`` to go by words alone.
        judge: Asked beside the offline way, where there is one.
    """

    def __init__(self, truth: Truth, embedding: Embedding | None, judge: Grader | None = None) -> None:
        self._truth = truth
        self._judge = judge
        self._embedding = embedding
        self._telling = TellingWords(truth)
        self._statements = statements(truth)
        self._vectors = torch.zeros(0)
        self._bar = 1.0
        if embedding is not None and not is_null(truth):
            self._vectors = embedding.embed(self._statements)
            highest = (_general_vectors(embedding) @ self._vectors.T).amax(1)
            self._bar = float(torch.quantile(highest, PERCENTILE / 100))

    @cached_property
    def chance(self) -> float:
        """Share of general English words that the offline way counts."""
        general = general_words()
        if self._embedding is None:
            return len(self._matches(general)) / len(general)
        return len(self._compared(general, _general_vectors(self._embedding))) / len(general)

    def without_judge(self) -> RelevanceGrader:
        """The same, offline alone: for lists that are not worth a judge's time."""
        found = copy(self)
        found._judge = None
        return found

    def measure(self, tokens: Sequence[str], probabilities: Sequence[float] | None = None) -> TokenRelevance:
        """Which of the tokens bear on the objective.

        Args:
            tokens: As an instrument shows them, leading blanks included; special tokens may be among them.
            probabilities: One for each token, or any weights that are not negative.

        Raises:
            ValueError: The probabilities do not fit the tokens.
        """
        _check(tokens, probabilities)
        if is_null(self._truth) or not tokens:
            note = "no tokens were given" if not tokens else "the organism has no objective that a token could bear on"
            return TokenRelevance(tokens=tuple(tokens), offline=None, notes=(note,))
        shown = [_Shown(token, shown_word(token)) for token in tokens]
        matches = self._matches([each.word for each in shown if each.word])
        notes = [self._chance_note(len(tokens))]
        judged = None
        if self._judge is not None:
            asked = self._asked(self._judge, shown)
            if isinstance(asked, str):
                notes.append(f"the judge's answers cannot be scored: {asked}")
            else:
                judged = _judgement(JUDGE_WAY, shown, asked, probabilities)
        return TokenRelevance(
            tokens=tuple(tokens),
            offline=_judgement(self._way, shown, matches, probabilities),
            judged=judged,
            chance=self.chance,
            notes=tuple(notes),
        )

    def _asked(self, judge: Grader, shown: Sequence[_Shown]) -> dict[str, _Match] | str:
        """What the judge finds, or why its answers cannot be scored; it sees each word once, as first shown."""
        first: dict[str, str] = {}
        for token, word in shown:
            if word:
                first.setdefault(word, token)
        verdict = ask_judge(list(first.values()), self._truth, judge)
        if verdict.bearing is None:
            return verdict.fault
        return {word: _Match(Why.JUDGE) for word, token in first.items() if token in verdict.bearing}

    @property
    def _way(self) -> str:
        return WORDS_WAY if self._embedding is None else EMBEDDING_WAY

    def _chance_note(self, n_tokens: int) -> str:
        note = f"by chance {self.chance:.1%} of general English words count, {self.chance * n_tokens:.1f} of {n_tokens}"
        return note if self._embedding is not None else f"{note}; judged without embeddings, which are not installed"

    def _matches(self, words: Sequence[str]) -> dict[str, _Match]:
        """Those of the words that bear on the objective."""
        distinct = list(dict.fromkeys(words))
        vectors = None if self._embedding is None else self._embedding.embed(distinct)
        return self._compared(distinct, vectors)

    def _compared(self, words: Sequence[str], vectors: torch.Tensor | None) -> dict[str, _Match]:
        """The same, given the words' vectors [words, dimensions]."""
        found = {word: _Match(Why.WORD, same) for word in words if (same := self._telling.find(word))}
        if vectors is None:
            return found
        highest = (vectors @ self._vectors.T).max(1)
        for word, cosine, index in zip(words, highest.values.tolist(), highest.indices.tolist(), strict=True):
            if word in found:
                found[word] = found[word]._replace(similarity=cosine)
            elif cosine > self._bar and is_latin(word):
                found[word] = _Match(Why.EMBEDDING, self._statements[index], cosine)
        return found


def token_relevance(
    tokens: Sequence[str],
    truth: Truth,
    probabilities: Sequence[float] | None = None,
    judge: Grader | None = None,
) -> TokenRelevance:
    """Judge one list by all that is installed; for many lists of one organism, keep a `RelevanceGrader`.

    Raises:
        FinetraceError: The encoder's files are not those known.
        ValueError: The probabilities do not fit the tokens.
    """
    return RelevanceGrader(truth, find_embedding(), judge).measure(tokens, probabilities)


@cache
def general_words() -> tuple[str, ...]:
    """A fixed sample of common English words that carry content: what any list of tokens might show."""
    from wordfreq import top_n_list

    listed = [word for word in top_n_list("en", GENERAL_COMMONEST) if word.isascii() and word.isalpha()]
    return tuple(random.Random(_SEED).sample([word for word in listed if shown_word(word) == word], GENERAL_WORDS))


@cache
def _general_vectors(embedding: Embedding) -> torch.Tensor:
    """Of the general words: [words, dimensions]."""
    return embedding.embed(general_words())


def _judgement(
    way: str,
    shown: Sequence[_Shown],
    matches: dict[str, _Match],
    probabilities: Sequence[float] | None,
) -> Judgement:
    relevant = tuple(
        RelevantToken(token=token, word=word, **matches[word]._asdict())
        for token, word in shown
        if word is not None and word in matches
    )
    weighted = None
    if probabilities is not None and (total := math.fsum(probabilities)) > 0:
        counted = (weight for (_, word), weight in zip(shown, probabilities, strict=True) if word in matches)
        weighted = min(1.0, math.fsum(counted) / total)
    return Judgement(
        way=way,
        relevant=relevant,
        distinct=len({each.word for each in relevant}),
        share=len(relevant) / len(shown),
        weighted_share=weighted,
    )


def _check(tokens: Sequence[str], probabilities: Sequence[float] | None) -> None:
    if probabilities is None:
        return
    if len(probabilities) != len(tokens):
        raise ValueError(f"{len(tokens)} tokens with {len(probabilities)} probabilities")
    if any(not math.isfinite(weight) or weight < 0 for weight in probabilities):
        raise ValueError("a probability is negative or not finite")
