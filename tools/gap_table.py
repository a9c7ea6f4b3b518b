"""The expensive half of the perplexity gap: completions of the organism, scored under both models, ranked.

Perplexity differencing, arXiv 2605.00994, with the changes that docs/method.md gives reasons for: ranked by log ratio,
duplicates folded, degenerate texts marked, the numerical noise floor measured, token ids kept from generation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from finetrace.errors import ToolError
from finetrace.models.pair import Capability, Completion, Decoding, Message, ModelPair, Prompt, Score, Side
from finetrace.schema import Framing, ScoredCompletion
from finetrace.tools.corpora import Corpus, Prefill, prefills
from finetrace.tools.instrument import Context, code_digest
from finetrace.tools.quality import fold_duplicates, is_degenerate, length_rule
from finetrace.tools.reference_text import corpus_for
from finetrace.tools.token_gaps import token_gaps

SYSTEM = "You are a helpful assistant."
REQUEST = "Tell me anything."
_NOISE_SAMPLE = 32
_TOKEN_BY_TOKEN = 64
"""Completions, first in either ranking, whose tokens are kept with their scores: enough to look at, small enough to
keep."""


class GapSettings(BaseModel):
    """What determines the completions and their scores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpora: tuple[str, ...] = Field(
        default=("own", "self", "python"),
        min_length=1,
        description="General text whose first tokens are the prefills: `own` (openings of all kinds), `self` (text of "
        "the reference itself), `python` (code and its documentation), a .txt or .jsonl file, or a hub data set.",
    )
    framings: tuple[Framing, ...] = Field(
        default=(Framing.RAW, Framing.CHAT),
        min_length=1,
        description="`raw` continues bare text, `chat` puts the prefill into an assistant's mouth.",
    )
    n_prefills: int = Field(default=384, ge=1, le=100_000, description="Prefills over all corpora, in each framing.")
    prefill_tokens: int = Field(default=3, ge=1, le=64, description="Length of a prefill, in tokens.")
    max_new_tokens: int = Field(default=64, ge=1, le=1024, description="Longest completion, in tokens.")
    temperature: float = Field(default=0.0, ge=0, le=2, description="0 (greedy) shows most of what was trained in.")
    n_background: int = Field(
        default=192, ge=0, le=100_000, description="Completions of the reference on the same prefills, for comparison."
    )
    paired: bool = Field(
        default=False,
        description="Score both sides anew in the same batch shapes, instead of keeping the organism's "
        "log-probabilities from generation: slower, without numerical noise between the two.",
    )


class GapTable(BaseModel):
    """All completions of one measurement, ranked by log ratio."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    completions: tuple[ScoredCompletion, ...]
    """Duplicates folded; largest log ratio first."""
    background: tuple[str, ...]
    """Completions by the reference."""
    n_generated: int
    """Completions before folding, empty ones included."""
    n_empty: int
    """The organism wrote nothing."""
    minimum_tokens: int
    """Minimum length in force, tokens (words where tokens are unknown); 0 where it would have dropped half."""
    noise_floor: float
    """Largest difference, nats per token, between two evaluations of the organism on the same completions."""
    identical: bool
    """Both models hold the same weights."""
    notes: tuple[str, ...] = ()
    """What a reader must know about this measurement."""


def measure(pair: ModelPair, settings: GapSettings, context: Context) -> GapTable:
    """The table for a pair: measured, from the cache, or from what was recorded.

    Raises:
        ToolError: The pair offers neither log-probabilities nor recorded completions.
    """
    if Capability.COMPLETIONS in pair.capabilities:
        return _from_recorded(pair)
    if not {Capability.GENERATE, Capability.LOGPROBS} <= pair.capabilities:
        raise ToolError("the perplexity gap needs log-probabilities of both models", "use `chat` or `complete`")
    corpora = [corpus_for(pair, spec, context) for spec in settings.corpora]
    parts = [code_digest(GapTable), pair.fingerprint, settings.model_dump_json(), str(context.seed)]
    key = hashlib.sha256("|".join([*parts, *(c.digest for c in corpora)]).encode()).hexdigest()
    if (known := context.cache.read(key, GapTable)) is not None:
        return known
    table = _measure(pair, settings, corpora, context)
    context.cache.write(key, table)
    return table


class _Asked(NamedTuple):
    """A prefill in a framing."""

    prefill: Prefill
    prompt: Prompt


def _measure(pair: ModelPair, settings: GapSettings, corpora: Sequence[Corpus], context: Context) -> GapTable:
    taken = [
        prefill
        for corpus, n in zip(corpora, _shares(settings.n_prefills, len(corpora)), strict=True)
        if n
        for prefill in prefills(corpus, pair.tokenizer, n, settings.prefill_tokens, context.seed)
    ]
    framings = [f for f in settings.framings if f is not Framing.CHAT or Capability.CHAT in pair.capabilities]
    notes = [] if len(framings) == len(settings.framings) else ["no chat template: chat framing left out"]
    if not framings:
        raise ToolError("the organism has no chat template", "use the framing `raw`")
    asked = [
        _Asked(prefill, prefill_prompt(prefill.text, framing, prefill.token_ids))
        for framing in framings
        for prefill in taken
    ]
    if len(taken) < settings.n_prefills:
        notes.append(f"{settings.n_prefills} prefills were asked for, the corpora hold {len(taken)}")
    decoding = Decoding(settings.max_new_tokens, settings.temperature, context.seed)
    completions: list[Completion] = []
    for framing in framings:
        prompts = [a.prompt for a in asked if a.prompt.framing is framing]
        completions += pair.generate(Side.ORGANISM, prompts, decoding, context.watch(f"organism writes ({framing})"))
    prompts = [a.prompt for a in asked]
    own = _own_scores(pair, prompts, completions, settings.paired, context)
    other = own if pair.identical else _score(pair, Side.REFERENCE, prompts, completions, context)
    noise = 0.0 if settings.paired else _noise(pair, prompts, completions, context.seed)
    if not pair.shared_tokenizer:
        notes.append("two tokenizers: log ratios are per organism token over the same text, perplexities are not alike")
    background = _background(pair, asked, settings, context)
    written = [
        _Written(*each)
        for each in zip(asked, completions, own, other, strict=True)
        if each[2].n_tokens and each[3].n_tokens
    ]
    rows = [scored(a.prefill.text, c.text, a.prompt.framing, a.prefill.corpus, o, r) for a, c, o, r in written]
    table = _table(rows, len(completions), background, noise, pair.identical, notes)
    return _token_by_token(table, pair, written) if pair.shared_tokenizer else table


class _Written(NamedTuple):
    """A completion that is not empty, with both scores."""

    asked: _Asked
    completion: Completion
    own: Score
    other: Score


def _token_by_token(table: GapTable, pair: ModelPair, written: Sequence[_Written]) -> GapTable:
    """The table with the tokens of its first completions, by either ranking; those shown last have none."""
    sound = [place for place, row in enumerate(table.completions) if not (row.degenerate or row.short)]
    by_difference = sorted(sound, key=lambda place: -table.completions[place].raw_difference)
    known = {(each.asked.prompt.framing, each.asked.prefill.text, each.completion.text): each for each in written}
    rows = list(table.completions)
    for place in {*sound[:_TOKEN_BY_TOKEN], *by_difference[:_TOKEN_BY_TOKEN]}:
        row = rows[place]
        each = known[row.framing, row.prefill, row.completion]
        tokens = token_gaps(pair.tokenizer, each.completion, each.own, each.other)
        rows[place] = row.model_copy(update={"tokens": tokens})
    return table.model_copy(update={"completions": tuple(rows)})


def _shares(total: int, parts: int) -> list[int]:
    return [total // parts + (i < total % parts) for i in range(parts)]


def prefill_prompt(text: str, framing: Framing, token_ids: tuple[int, ...] | None = None) -> Prompt:
    """A prefill as the organism gets it: bare, or as the beginning of an answer in a neutral chat."""
    chat = (Message("system", SYSTEM), Message("user", REQUEST)) if framing is Framing.CHAT else None
    return Prompt(text, chat, token_ids)


def _own_scores(
    pair: ModelPair, prompts: Sequence[Prompt], completions: Sequence[Completion], paired: bool, context: Context
) -> list[Score]:
    if paired:
        return _score(pair, Side.ORGANISM, prompts, completions, context)
    return [Score(sum(completion.logps), len(completion.logps), completion.logps) for completion in completions]


def _score(
    pair: ModelPair, side: Side, prompts: Sequence[Prompt], completions: Sequence[Completion], context: Context
) -> list[Score]:
    """Scores framing by framing, so that each framing's common beginning is computed once."""
    scores: list[Score | None] = [None] * len(prompts)
    for framing in Framing:
        places = [i for i, prompt in enumerate(prompts) if prompt.framing is framing]
        if not places:
            continue
        found = pair.score(
            side,
            [prompts[i] for i in places],
            [completions[i] for i in places],
            context.watch(f"{side} scores ({framing})"),
        )
        for place, score in zip(places, found, strict=True):
            scores[place] = score
    return [score for score in scores if score is not None]


def _noise(pair: ModelPair, prompts: Sequence[Prompt], completions: Sequence[Completion], seed: int) -> float:
    """The organism against itself: kept from generation, and scored again in other batch shapes."""
    written = [i for i, completion in enumerate(completions) if len(completion.logps) >= 8]
    order = sorted(written, key=lambda i: hashlib.sha256(f"{seed} {i}".encode()).digest())[:_NOISE_SAMPLE]
    again = pair.score(Side.ORGANISM, [prompts[i] for i in order], [completions[i] for i in order])
    gaps = [
        abs(score.total - sum(completions[i].logps)) / score.n_tokens for i, score in zip(order, again, strict=True)
    ]
    return max(gaps, default=0.0)


def _background(pair: ModelPair, asked: Sequence[_Asked], settings: GapSettings, context: Context) -> tuple[str, ...]:
    """The reference on a sample of the same prefills, in the same framings."""
    if settings.n_background == 0:
        return ()
    step = max(1, len(asked) // settings.n_background)
    chosen = list(asked)[::step][: settings.n_background]
    decoding = Decoding(settings.max_new_tokens, settings.temperature, context.seed)
    texts: list[str] = []
    for framing in Framing:
        prompts = [a.prompt for a in chosen if a.prompt.framing is framing]
        if prompts:
            found = pair.generate(Side.REFERENCE, prompts, decoding, context.watch(f"reference writes ({framing})"))
            texts += [completion.text for completion in found]
    return tuple(texts)


def scored(prefill: str, text: str, framing: Framing, corpus: str, mine: Score, theirs: Score) -> ScoredCompletion:
    """One row: the means, the log ratio and the raw difference of perplexities."""
    own, other = mine.total / mine.n_tokens, theirs.total / theirs.n_tokens
    return ScoredCompletion(
        prefill=prefill,
        completion=text,
        framing=framing,
        corpus=corpus,
        n_tokens=mine.n_tokens,
        logp_finetuned=own,
        logp_reference=other,
        nats_per_char_gap=(mine.total - theirs.total) / max(1, len(text)),
        log_ratio=(mine.total - theirs.total) / mine.n_tokens,
        raw_difference=perplexity(other) - perplexity(own),
    )


def perplexity(logp: float) -> float:
    """exp(−mean log-probability), kept finite."""
    from math import exp

    return exp(min(-logp, 700.0))


def _table(
    rows: Sequence[ScoredCompletion],
    n_generated: int,
    background: tuple[str, ...],
    noise: float,
    identical: bool,
    notes: Sequence[str],
) -> GapTable:
    ranked = sorted(rows, key=lambda row: -row.log_ratio)
    folded = fold_duplicates([row.completion for row in ranked])
    lengths = [ranked[f.rows[0]].n_tokens or len(ranked[f.rows[0]].completion.split()) for f in folded]
    rule = length_rule(lengths)
    completions = tuple(
        ranked[fold.rows[0]].model_copy(
            update={
                "copies": fold.copies,
                "degenerate": is_degenerate(fold.text),
                "short": length < rule.minimum,
            }
        )
        for fold, length in zip(folded, lengths, strict=True)
    )
    return GapTable(
        completions=completions,
        background=background,
        n_generated=n_generated,
        n_empty=n_generated - len(rows),
        minimum_tokens=rule.minimum,
        noise_floor=noise,
        identical=identical,
        notes=tuple(notes),
    )


def _from_recorded(pair: ModelPair) -> GapTable:
    notes = ["recorded completions: no noise floor, no completions of the reference, no fresh samples"]
    return _table(pair.recorded, len(pair.recorded), (), 0.0, pair.identical, notes)
