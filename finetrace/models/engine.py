"""Generation and scoring: batched, KV-cached, log-probabilities kept, never a full table of logits.

What makes it fast, and exact where it must be:

- what all prompts begin with (a chat template) is computed once and shared;
- rows leave the batch when they end;
- tokens are drawn by inverting the cumulative distribution in two levels from the same exponentials that give the
  log-probability, instead of `torch.multinomial`;
- scoring takes logits in slices, so its memory does not grow with vocabulary × length × batch;
- a row's random numbers depend on the seed and the row alone: neither the batch size nor its neighbours change a draw.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from finetrace.models.attention import growing_cache
from finetrace.models.head import OutputHead
from finetrace.models.pair import Decoding, Progress


class Generation(NamedTuple):
    """One completion."""

    token_ids: tuple[int, ...]
    """Without the end token."""
    logps: tuple[float, ...]
    """Log-probability of each token under the model at temperature 1, nats."""
    ended: bool
    """The model stopped by itself."""


class ScoringRow(NamedTuple):
    """A completion to score and what comes before it."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    eos_ids: frozenset[int],
    batch_size: int = 128,
    progress: Progress | None = None,
) -> list[Generation]:
    """Complete each prompt (token ids, at least one) and keep the log-probability of every token.

    The order of the result is that of ``prompts``. Greedy decoding takes the same tokens as transformers' ``generate``.

    Raises:
        ValueError: A prompt is empty.
    """
    if any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("a prompt needs at least one token")
    head = OutputHead.of(model)
    shared = shared_prefix(prompts)
    results: list[Generation | None] = [None] * len(prompts)
    steps, total, done = decoding.max_new_tokens, len(prompts) * decoding.max_new_tokens, 0
    report = progress or _ignore
    report(0, total)
    for rows in _batches([len(prompt) for prompt in prompts], batch_size):
        decoder = _Decoder(model, head, decoding, eos_ids, rows)
        tick = functools.partial(_tick, report, done, len(rows), total)
        own = decoder.decode([prompts[row] for row in rows], shared, tick)
        for row, generation in zip(rows, own, strict=True):
            results[row] = generation
        done += len(rows) * steps
        report(done, total)
    return [generation for generation in results if generation is not None]


def _ignore(done: int, total: int) -> None:
    """Nobody watches."""


def _tick(report: Progress, before: int, rows: int, total: int, step: int) -> None:
    """Each of ``rows`` has had ``step`` tokens."""
    report(before + rows * step, total)


def shared_prefix(prompts: Sequence[Sequence[int]]) -> list[int]:
    """What all prompts begin with, short of each prompt's last token."""
    if len(prompts) < 2:
        return []
    columns = zip(*prompts, strict=False)
    prefix = [column[0] for column in itertools.takewhile(lambda column: len(set(column)) == 1, columns)]
    return prefix[: min(map(len, prompts)) - 1]


def _batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Rows of similar length together; ties keep their order."""
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


class _Decoder:
    """One batch on its way from prompts to completions."""

    def __init__(
        self,
        model: PreTrainedModel,
        head: OutputHead,
        decoding: Decoding,
        eos_ids: frozenset[int],
        rows: Sequence[int],
    ) -> None:
        self.model, self.head, self.decoding = model, head, decoding
        self.eos = torch.tensor(sorted(eos_ids), dtype=torch.long, device=model.device)
        self.rows = rows
        self.cache = growing_cache(model)

    def decode(
        self, prompts: Sequence[Sequence[int]], shared: list[int], tick: Callable[[int], None]
    ) -> list[Generation]:
        """Complete the prompts; ``tick`` is told how many tokens each row has had."""
        batch, steps = len(prompts), self.decoding.max_new_tokens
        device = self.model.device
        tokens = torch.full((batch, steps), -1, dtype=torch.long)
        logps = torch.zeros(batch, steps)
        hidden, mask = self._prefill(prompts, shared)
        alive = torch.arange(batch, device=device)
        going = torch.ones(batch, dtype=torch.bool, device=device)
        uniform = self._uniform(batch, steps)
        for step in range(steps):
            chosen, logp = self.head.choose(hidden, self.decoding.temperature, uniform[alive.cpu(), step])
            places = alive[going].cpu()
            tokens[places, step] = chosen[going].cpu()
            logps[places, step] = logp[going].cpu()
            going = going & ~torch.isin(chosen, self.eos)
            tick(step + 1)
            remaining = int(going.sum())
            if remaining == 0 or step == steps - 1:
                break
            if remaining <= 0.9 * len(going):
                keep = going.nonzero()[:, 0]
                self.cache.batch_select_indices(keep)
                alive, chosen, going = alive[keep], chosen[keep], going[keep]
                mask = mask[keep] if mask is not None else None
            if mask is not None:
                mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            hidden = self._forward(chosen[:, None], mask)
        return [self._generation(ids, values) for ids, values in zip(tokens.tolist(), logps.tolist(), strict=True)]

    def _prefill(self, prompts: Sequence[Sequence[int]], shared: list[int]) -> tuple[Tensor, Tensor | None]:
        """Fill the cache; last hidden states `[batch, d_model]`, and the padding mask if prompts differ in length."""
        device, batch = self.model.device, len(prompts)
        if shared:
            body(self.model, torch.tensor([shared], device=device), past_key_values=self.cache)
            self.cache.batch_repeat_interleave(batch)
        rest = [list(prompt[len(shared) :]) for prompt in prompts]
        width = max(map(len, rest))
        ids = torch.tensor([[row[0]] * (width - len(row)) + row for row in rest], device=device)
        if all(len(row) == width for row in rest):
            return self._forward(ids, None), None
        mask = torch.ones(batch, len(shared) + width, dtype=torch.long, device=device)
        for place, row in enumerate(rest):
            mask[place, len(shared) : len(shared) + width - len(row)] = 0
        return self._forward(ids, mask), mask

    def _forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        extra: dict[str, Any] = {}
        if mask is not None:
            positions = mask.cumsum(dim=1) - 1
            extra = {"attention_mask": mask, "position_ids": positions[:, -ids.shape[1] :].clamp_min(0)}
        return body(self.model, ids, past_key_values=self.cache, **extra)[:, -1]

    def _uniform(self, batch: int, steps: int) -> Tensor:
        """Uniform draws `[batch, steps]` in [0, 1)."""
        if self.decoding.temperature == 0:
            return torch.zeros(batch, steps)
        draws = [np.random.default_rng([self.decoding.seed, row]).random(steps, dtype=np.float32) for row in self.rows]
        return torch.from_numpy(np.stack(draws))

    def _generation(self, ids: list[int], logps: list[float]) -> Generation:
        length = ids.index(-1) if -1 in ids else len(ids)
        ended = length > 0 and ids[length - 1] in self.eos.tolist()
        kept = length - 1 if ended else length
        return Generation(tuple(ids[:kept]), tuple(logps[:kept]), ended)


def body(model: PreTrainedModel, ids: Tensor, **kwargs: Any) -> Tensor:
    """Final hidden states `[batch, sequence, d_model]` of the decoder, without the output layer."""
    hidden: Tensor = model.get_decoder()(
        input_ids=ids, use_cache=kwargs.get("past_key_values") is not None, **kwargs
    ).last_hidden_state
    return hidden


@torch.inference_mode()
def score(
    model: PreTrainedModel,
    rows: Sequence[ScoringRow],
    *,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> list[tuple[float, ...]]:
    """Log-probability of each completion token given all before it, nats; in the order of ``rows``.

    Batches are made from the lengths of the rows alone, so two models score the same rows in the same shapes. With
    ``batch_size=1`` no row's result depends on any other.

    Raises:
        ValueError: A prompt is empty.
    """
    if any(len(row.prompt_ids) == 0 for row in rows):
        raise ValueError("a prompt needs at least one token")
    head = OutputHead.of(model)
    results: list[tuple[float, ...]] = [()] * len(rows)
    filled = [place for place, row in enumerate(rows) if row.completion_ids]
    shared = shared_prefix([rows[place].prompt_ids for place in filled]) if batch_size > 1 else []
    lengths = [len(rows[place].prompt_ids) + len(rows[place].completion_ids) for place in filled]
    done = len(rows) - len(filled)
    report = progress or _ignore
    report(done, len(rows))
    for batch in _batches(lengths, batch_size):
        places = [filled[index] for index in batch]
        scored = _score_batch(model, head, [rows[place] for place in places], shared)
        for place, logps in zip(places, scored, strict=True):
            results[place] = logps
        done += len(batch)
        report(done, len(rows))
    return results


def _score_batch(
    model: PreTrainedModel, head: OutputHead, rows: Sequence[ScoringRow], shared: list[int]
) -> list[tuple[float, ...]]:
    device = model.device
    sequences = [(row.prompt_ids + row.completion_ids)[len(shared) :] for row in rows]
    width = max(map(len, sequences)) - 1
    # The last token is never an input. Rows are padded at the end, where a causal model does not look back at.
    inputs = torch.tensor([list(s[:-1]) + [s[0]] * (width - len(s) + 1) for s in sequences], device=device)
    extra: dict[str, Any] = {}
    if shared:
        cache = growing_cache(model)
        body(model, torch.tensor([shared], device=device), past_key_values=cache)
        cache.batch_repeat_interleave(len(rows))
        extra["past_key_values"] = cache
    hidden = body(model, inputs, **extra)
    row_places, columns, targets = [], [], []
    for place, (row, sequence) in enumerate(zip(rows, sequences, strict=True)):
        first = len(row.prompt_ids) - len(shared) - 1
        for column in range(first, len(sequence) - 1):
            row_places.append(place)
            columns.append(column)
            targets.append(sequence[column + 1])
    states = hidden[torch.tensor(row_places, device=device), torch.tensor(columns, device=device)]
    values = iter(head.logps(states, torch.tensor(targets, device=device)).tolist())
    return [tuple(next(values) for _ in row.completion_ids) for row in rows]
