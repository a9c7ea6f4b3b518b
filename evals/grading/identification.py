"""Which objective of all a hypothesis means, from its text alone.

Three scorers rank every candidate by the nearest of its wordings: stemmed words weighed by how few candidates have
them (exact on facts and phrases), the meaning of the whole text, and the meaning of its parts on average (better on
manners). Reciprocal ranks are added up. How near the nearest is says nothing by itself; that scorers of different kinds
agree on the first does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from finetrace.agent.terms import stem
from finetrace.errors import FinetraceError
from finetrace.evals.grading.embedding import Embedding, find_embedding
from finetrace.evals.grading.hypothesis_text import HypothesisText, text_of
from finetrace.evals.grading.objectives import Objectives
from finetrace.schema import Hypothesis
from finetrace.tools.english import is_function_word
from finetrace.tools.words import words

FUSION_K = 10
"""Added to each rank before its reciprocal is taken: how little a first place counts beyond a second."""
_WINDOW = 150
"""Words of a long text that are encoded at once; the encoder cuts off what exceeds some 200."""

Floats = npt.NDArray[np.float32]


class Identification(NamedTuple):
    """Where the true objective stands among all."""

    rank: int
    """From 1; ties count against it, so that a text which says nothing comes last."""
    best: str | None
    """The candidate in first place: a family, or ``none`` for the nulls; ``None`` where the text fits nothing."""
    confident: bool
    """Whether words and meaning agree on the first place; never where the encoder is not installed."""
    candidates: int
    """How many there are: rank 1 by chance has a probability of one over it."""


class Ranking(NamedTuple):
    """All candidates, nearest first."""

    order: tuple[str, ...]
    scores: dict[str, float]
    """Sum of reciprocal ranks, by candidate."""
    confident: bool
    """Whether words and meaning agree on the first place."""


class Identifier:
    """Holds hypotheses against one set of objectives, whose wordings are read once.

    Args:
        objectives: What a hypothesis may mean.
        encoder: Says how near two texts are in meaning; ``None`` leaves that to words alone.

    Raises:
        FinetraceError: There is no objective.
    """

    def __init__(self, objectives: Objectives, encoder: Embedding | None) -> None:
        self.objectives = objectives
        self.candidates = objectives.candidates
        self._encoder = encoder
        if not objectives.all:
            raise FinetraceError("the registry states no objective", "give its organisms a 'truth' each")
        place = {candidate: index for index, candidate in enumerate(self.candidates)}
        texts = [(place[objective.candidate], text) for objective in objectives.all for text in objective.wordings]
        self._owner = np.array([owner for owner, _ in texts])
        self._words = WordWeights([text for _, text in texts], self._owner)
        self._meanings = None if encoder is None else _meanings(encoder, [text for _, text in texts])

    def rank(self, answer: Hypothesis | str) -> Ranking:
        """All candidates by how well the answer fits them."""
        text = text_of(answer)
        votes = self.votes(text)
        fused = sum((1 / (FUSION_K + ranks) for ranks in votes), np.zeros(len(self.candidates)))
        order = np.argsort(-fused, kind="stable")
        firsts = [set(np.flatnonzero(ranks == 1)) for ranks in votes]
        agreed = set.intersection(*firsts) if firsts else set()
        confident = len(votes) > 1 and len(agreed) == 1 and int(order[0]) in agreed
        scores = {self.candidates[index]: float(fused[index]) for index in order}
        return Ranking(tuple(scores), scores, confident)

    def identify(self, answer: Hypothesis | str, truth_name: str) -> Identification:
        """Where the objective of an organism or family stands.

        Raises:
            FinetraceError: No objective is known by that name.
        """
        own = self.objectives.find(truth_name).candidate
        ranking = self.rank(answer)
        rank = sum(score >= ranking.scores[own] for score in ranking.scores.values())
        best = ranking.order[0] if any(ranking.scores.values()) else None
        return Identification(rank, best, ranking.confident, len(self.candidates))

    def votes(self, text: HypothesisText) -> list[Floats]:
        """Ranks by each scorer [candidates]; infinite where a scorer sees nothing in common."""
        if not words(text.whole):
            return []
        scores = [self._words.cosines(text.whole)]
        if self._encoder is not None and self._meanings is not None:
            whole = _unit(_meanings(self._encoder, [text.whole]))
            parts = _meanings(self._encoder, text.parts or [text.whole])
            scores.append((self._meanings @ whole.T).max(axis=1))
            scores.append((self._meanings @ parts.T).mean(axis=1))
        return [_ranks(self._best(score)) for score in scores]

    def _best(self, scores: Floats) -> Floats:
        """Scores of wordings [wordings] as those of candidates [candidates]: the nearest wording counts."""
        best = np.full(len(self.candidates), -np.inf, dtype=np.float32)
        np.maximum.at(best, self._owner, scores)
        return best


class WordWeights:
    """Stemmed words of wordings, weighed by the logarithm of how few candidates have them.

    Args:
        texts: The wordings.
        owner: Which candidate each is of [texts].
    """

    def __init__(self, texts: Sequence[str], owner: npt.NDArray[np.int_]) -> None:
        counted = [_stems(text) for text in texts]
        self._place = {found: i for i, found in enumerate(sorted({each for count in counted for each in count}))}
        holds = {(int(who), each) for who, count in zip(owner, counted, strict=True) for each in count}
        among = Counter(each for _, each in holds)
        n_candidates = int(owner.max()) + 1 if len(owner) else 0
        self._weights = np.array([np.log((1 + n_candidates) / (1 + among[each])) for each in self._place])
        self._vectors = _unit(np.stack([self._vector(count) for count in counted]))

    def cosines(self, text: str) -> Floats:
        """Cosine of the text with each wording [wordings]; 0 where they share no word that tells."""
        cosines: Floats = self._vectors @ _unit(self._vector(_stems(text))[None])[0]
        return cosines

    def _vector(self, counted: Counter[str]) -> Floats:
        vector = np.zeros(len(self._place), dtype=np.float32)
        for each, count in counted.items():
            if (place := self._place.get(each)) is not None:
                vector[place] = (1 + np.log(count)) * self._weights[place]
        return vector


def identify(answer: Hypothesis | str, truth_name: str, objectives: Objectives | Identifier) -> Identification:
    """Where the objective of an organism or family stands among all, given only the answer.

    Args:
        answer: A hypothesis, or free text.
        truth_name: Full name of an organism, or a family.
        objectives: Against what it is held; an `Identifier` where there are several answers, to read them once.

    Raises:
        FinetraceError: No objective is known by that name.
    """
    held = objectives if isinstance(objectives, Identifier) else Identifier(objectives, find_embedding())
    return held.identify(answer, truth_name)


def _stems(text: str) -> Counter[str]:
    return Counter(stem(word) for word in words(text) if not is_function_word(word))


def _meanings(encoder: Embedding, texts: Sequence[str]) -> Floats:
    """Vectors of texts [texts, dimensions]; a long one is the mean of its windows."""
    windows = [(index, window) for index, text in enumerate(texts) for window in _windows(text)]
    vectors = np.zeros((len(texts), encoder.dimensions), dtype=np.float32)
    encoded: Floats = encoder.embed([window for _, window in windows]).numpy()
    np.add.at(vectors, [index for index, _ in windows], encoded)
    return _unit(vectors)


def _windows(text: str) -> list[str]:
    found = text.split()
    return [" ".join(found[start : start + _WINDOW]) for start in range(0, max(1, len(found)), _WINDOW)]


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


def _ranks(scores: Floats) -> Floats:
    """Ranks from 1, the same for equal scores; infinite for scores of 0 and less, which are no likeness."""
    ranks = 1 + (scores[None, :] > scores[:, None]).sum(axis=1)
    return np.where(scores > 1e-9, ranks, np.inf).astype(np.float32)
