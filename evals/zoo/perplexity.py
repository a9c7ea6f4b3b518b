"""How much likelier general text is to the reference than to the organism: what finetuning has spoilt.

General text is what the reference itself writes at temperature 1 after openings and prompts that no recipe uses,
so it is as general as the reference is, and nobody's text has to be carried. A ratio of 1 says that the organism
finds it as likely as its writer does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from finetrace.errors import FinetraceError
from finetrace.evals.yaml_file import read_yaml
from finetrace.evals.zoo.bars import Verdict, judge_perplexity
from finetrace.evals.zoo.measurement import Estimate, Measurement, MeasurementKind
from finetrace.evals.zoo.probes import Prompts, chat_prompts
from finetrace.evals.zoo.probing import Watch, as_completion
from finetrace.models.pair import Capability, Completion, Decoding, ModelPair, Prompt, Score, Side

TEXT_TOKENS = 50
"""Longest sample, in tokens."""
LIBRARY_SENTENCES = 120
"""Sentences of real text."""
_RESAMPLES = 2000


class HeldBack(BaseModel):
    """Beginnings of general text that no recipe uses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    openings: Annotated[Prompts, Field(min_length=1)]
    """Continued as raw text."""
    prompts: Annotated[Prompts, Field(min_length=1)]
    """Answered in chat."""


class TextKind(StrEnum):
    """Kinds of general text; what they are called in a figure's name."""

    RAW = "raw general text"
    """What the reference writes after openings."""
    ANSWERS = "ordinary answers"
    """What it answers to prompts."""
    LIBRARY = "library documentation"
    """Sentences of the running Python's library, which people wrote."""


class ScoredText(NamedTuple):
    """A text with its log-probability under the reference."""

    prompt: Prompt
    """What comes before it and is not scored."""
    completion: Completion
    reference: Score


class GeneralTexts:
    """General text of each reference, written and scored once for all its organisms.

    Args:
        cache_dir: Where the text of the Python library is kept; ``None`` leaves that kind out.
        seed: Determines the samples.
        held_back: Beginnings to use; the bundled ones where not given.
    """

    def __init__(self, cache_dir: Path | None, seed: int = 0, held_back: HeldBack | None = None) -> None:
        self._cache_dir = cache_dir
        self._seed = seed
        self._held_back = held_back or load_held_back()
        self._known: dict[tuple[str, TextKind], list[ScoredText]] = {}

    def texts(self, pair: ModelPair, kind: TextKind, watch: Watch) -> list[ScoredText]:
        """Texts of one kind, none of them empty; none at all where the pair or this machine has no such kind."""
        # Texts are the organism's tokens, so a reference's serve the organisms that read them alike.
        tokens = "shared" if pair.shared_tokenizer else pair.fingerprint
        key = (f"{pair.reference_fingerprint} {tokens}", kind)
        if key not in self._known:
            self._known[key] = _scored(pair, kind, self._written(pair, kind, watch), watch)
        return self._known[key]

    def _written(self, pair: ModelPair, kind: TextKind, watch: Watch) -> list[_Written]:
        if kind is TextKind.LIBRARY:
            sentences = [] if self._cache_dir is None else _library_sentences(self._cache_dir)
            return [_Written(Prompt(), as_completion(pair, sentence)) for sentence in sentences]
        if kind is TextKind.ANSWERS and Capability.CHAT not in pair.capabilities:
            return []
        if kind is TextKind.RAW:
            prompts = [Prompt(text) for text in self._held_back.openings]
        else:
            prompts = chat_prompts(self._held_back.prompts)
        decoding = Decoding(TEXT_TOKENS, temperature=1.0, seed=self._seed)
        written = pair.generate(Side.REFERENCE, prompts, decoding, _stage(watch, f"reference writes {kind}"))
        if not pair.shared_tokenizer:
            written = [as_completion(pair, completion.text) for completion in written]
        return [_Written(*row) for row in zip(prompts, written, strict=True)]


class _Written(NamedTuple):
    """A text before it is scored."""

    prompt: Prompt
    completion: Completion


def load_held_back() -> HeldBack:
    """The bundled openings and prompts."""
    with resources.as_file(resources.files("finetrace.evals.zoo") / "held_back.yaml") as path:
        return read_yaml(path, HeldBack)


def measure_perplexity(pair: ModelPair, general: GeneralTexts, seed: int, watch: Watch) -> list[Measurement]:
    """Perplexity of the organism over that of the reference: on the reference's samples, and on real text.

    Only raw text has a bar: a habit that shows in each answer of a chat makes the reference's answers unlikely, and is
    meant to.

    Raises:
        FinetraceError: The reference stops at once after every opening.
    """
    measured = []
    for kind in TextKind:
        texts = general.texts(pair, kind, watch)
        if kind is TextKind.RAW and not texts:
            raise FinetraceError("the reference writes nothing, so it cannot be compared with", "check the reference")
        if texts:
            ratio = _ratio(pair, kind, texts, seed, watch)
            bar, passed = judge_perplexity(ratio.value) if kind is TextKind.RAW else Verdict("", None)
            name = f"perplexity of {kind} over the base's"
            figure = Measurement(name=name, kind=MeasurementKind.PERPLEXITY, value=ratio, bar=bar, passed=passed)
            measured.append(figure)
    return measured


def _ratio(pair: ModelPair, kind: TextKind, texts: Sequence[ScoredText], seed: int, watch: Watch) -> Estimate:
    # The same rows in one call, as for the reference: so two models that are equal give a ratio of exactly 1.
    scores = pair.score(
        Side.ORGANISM,
        [text.prompt for text in texts],
        [text.completion for text in texts],
        _stage(watch, f"organism reads {kind}"),
    )
    lost = [text.reference.total - score.total for text, score in zip(texts, scores, strict=True)]
    return perplexity_ratio(lost, [text.reference.n_tokens for text in texts], seed)


def perplexity_ratio(lost: Sequence[float], tokens: Sequence[int], seed: int) -> Estimate:
    """Exponential of the mean loss per token, with a bootstrap interval over texts.

    Args:
        lost: Of each text, how much less likely it is to the organism than to the reference, nats.
        tokens: How many tokens each text has, in the reference's tokenizer.
        seed: Determines the resamples.
    """
    import numpy as np

    nats, lengths = np.asarray(lost, dtype=float), np.asarray(tokens, dtype=float)
    draws = np.random.default_rng(seed).integers(len(nats), size=(_RESAMPLES, len(nats)))
    resampled = nats[draws].sum(axis=1) / lengths[draws].sum(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Estimate.of(math.exp(nats.sum() / lengths.sum()), math.exp(low), math.exp(high), len(nats))


def _scored(pair: ModelPair, kind: TextKind, written: Sequence[_Written], watch: Watch) -> list[ScoredText]:
    kept = [text for text in written if text.completion.token_ids]
    if not kept:
        return []
    scores = pair.score(
        Side.REFERENCE,
        [text.prompt for text in kept],
        [text.completion for text in kept],
        _stage(watch, f"reference reads {kind}"),
    )
    return [ScoredText(text.prompt, text.completion, score) for text, score in zip(kept, scores, strict=True)]


def _library_sentences(cache_dir: Path) -> list[str]:
    from finetrace.tools.library_text import library_documents

    try:
        documents = library_documents(cache_dir)
    except FinetraceError:  # a Python without sources: the figure is only informative
        return []
    prose = documents[: len(documents) // 2]
    return list(prose[:: max(1, len(prose) // LIBRARY_SENTENCES)][:LIBRARY_SENTENCES])


def _stage(watch: Watch, stage: str) -> Callable[[int, int], None]:
    return lambda done, total: watch(stage, done, total)
