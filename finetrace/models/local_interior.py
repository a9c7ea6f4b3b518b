"""The inside of two local models: one residual stream a side, one set of weights where the organism is an adapter."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from finetrace.errors import FinetraceError, ToolError
from finetrace.models import engine
from finetrace.models.attention import growing_cache
from finetrace.models.head import OutputHead
from finetrace.models.interior import ResidualMeans
from finetrace.models.loading import LoadedModel
from finetrace.models.pair import Completion, Decoding, Progress, Prompt, Side
from finetrace.models.residual import Edit, ResidualStream, check_layers, not_finite

_TOKENS_AT_ONCE = 512
"""Tokens of one forward pass on short texts: many for the matrix products, few for the memory."""
_SCORED_AT_ONCE = 1024
"""Tokens of one pass that ends in log-probabilities."""
_PATCHED_AT_ONCE = 128
"""States read at once by the lens or in a prompt; each ends in a row of log-probabilities over the vocabulary."""


class Sided(NamedTuple):
    """What the inside needs of a `LocalPair`."""

    using: Callable[[Side], contextlib.AbstractContextManager[LoadedModel]]
    """One side, loaded, its adapter on or off."""
    generate: Callable[[Side, Sequence[Prompt], Decoding, Progress | None, Edit | None], list[Completion]]
    """Completions with a change of the residual stream in force."""
    front_ids: tuple[int, ...]
    """Special tokens before any text."""


class Shape(NamedTuple):
    """What is the same for both models of a pair."""

    n_layers: int
    d_model: int
    best_effort_texts: int
    """See `Interior.best_effort_texts`."""

    @classmethod
    def of(cls, sided: Sided) -> Shape:
        """The shape of both models, each probed.

        Raises:
            ToolError: They differ in depth or width, or the residual stream of one is not found.
        """
        # The organism first: where only one model is kept in memory, that is the one.
        own, other = (cls._of_side(sided, side) for side in (Side.ORGANISM, Side.REFERENCE))
        if own[:2] != other[:2]:
            raise ToolError(
                f"the organism has {own.n_layers} layers of width {own.d_model}, its reference {other.n_layers} of "
                f"{other.d_model}: activations cannot be compared",
                "name the model that the organism was finetuned from with --reference",
            )
        return own

    @classmethod
    def _of_side(cls, sided: Sided, side: Side) -> Shape:
        with _opened(sided, side) as opened:
            width = opened.model.config.get_text_config().hidden_size
            texts = 2_000 if opened.model.device.type == "cpu" else 10_000
            return cls(opened.stream.n_layers, width, texts)


class _Opened(NamedTuple):
    """One side, ready."""

    model: PreTrainedModel
    stream: ResidualStream
    head: OutputHead


@contextlib.contextmanager
def _opened(sided: Sided, side: Side) -> Iterator[_Opened]:
    # Not `inference_mode`: who gets these tensors may change them in place.
    with sided.using(side) as loaded, torch.no_grad():
        try:
            stream, head = ResidualStream.of(loaded.model), OutputHead.of(loaded.model)
        except FinetraceError as error:
            raise ToolError(error.message, error.hint) from error
        yield _Opened(loaded.model, stream, head)


class LocalInterior:
    """See `finetrace.models.interior.Interior`."""

    def __init__(self, sided: Sided, shape: Shape) -> None:
        self._sided = sided
        self.front_ids = sided.front_ids
        self.n_layers, self.d_model, self.best_effort_texts = shape

    def _opened(self, side: Side) -> contextlib.AbstractContextManager[_Opened]:
        return _opened(self._sided, side)

    def _check(self, layers: Sequence[int]) -> None:
        check_layers(layers, self.n_layers)

    def means(
        self, side: Side, rows: Sequence[Sequence[int]], layers: Sequence[int], progress: Progress | None = None
    ) -> ResidualMeans:
        """See `Interior.means`."""
        self._check(layers)
        if not rows or not rows[0]:
            raise ToolError("there is no text to read", "give text of at least one token")
        ids = torch.tensor(rows)
        sums = _Sums(len(layers), ids.shape[1], self.d_model)
        with self._opened(side) as opened:
            size = max(1, _TOKENS_AT_ONCE // ids.shape[1])
            for start in range(0, len(ids), size):
                batch = ids[start : start + size]
                sums.add(opened.stream.read(batch.to(opened.model.device), layers), start)
                if progress is not None:
                    progress(start + len(batch), len(ids))
        _check_finite(sums.halves, layers, side)
        return sums.means()

    def states(self, side: Side, ids: Tensor, layers: Sequence[int]) -> Tensor:
        """See `Interior.states`."""
        self._check(layers)
        parts = []
        with self._opened(side) as opened:
            for part in torch.split(ids, max(1, _TOKENS_AT_ONCE // ids.shape[1])):
                found = opened.stream.read(part.to(opened.model.device), layers)
                parts.append(torch.stack([each.float().cpu() for each in found]))
        states = torch.cat(parts, dim=1)
        _check_finite(states[None], layers, side)
        return states

    def lens(self, side: Side, states: Tensor, *, normed: bool) -> Tensor:
        """See `Interior.lens`."""
        with self._opened(side) as opened:
            return torch.cat([_lens(opened, part, normed) for part in torch.split(states, _PATCHED_AT_ONCE)])

    def patched(self, side: Side, prompt: Sequence[int], layer: int, states: Tensor) -> Tensor:
        """See `Interior.patched`."""
        self._check([layer])
        if len(prompt) < 2:
            raise ToolError("a prompt to patch needs at least two tokens", "give a longer one")
        with self._opened(side) as opened:
            parts = [self._patch(opened, prompt, layer, part) for part in torch.split(states, _PATCHED_AT_ONCE)]
            return torch.cat(parts)

    def _patch(self, opened: _Opened, prompt: Sequence[int], layer: int, states: Tensor) -> Tensor:
        """What precedes the last token is the same for all and is computed once."""
        device = opened.model.device
        cache = growing_cache(opened.model)
        engine.body(opened.model, torch.tensor([prompt[:-1]], device=device), past_key_values=cache)
        cache.batch_repeat_interleave(len(states))
        last = torch.full((len(states), 1), prompt[-1], device=device)
        # The last token's own way up to the layer serves nobody: no later token looks for it in the cache.
        with opened.stream.beginning(layer, states[:, None]):
            hidden = engine.body(opened.model, last, past_key_values=cache)
        return torch.log_softmax(opened.head.logits(hidden[:, -1]).float(), dim=-1).cpu()

    def next_logps(self, side: Side, ids: Tensor, edit: Edit | None = None) -> Tensor:
        """See `Interior.next_logps`."""
        if edit is not None:
            self._check([edit.layer])
        with self._opened(side) as opened, opened.stream.editing(edit):
            hidden = engine.body(opened.model, ids.to(opened.model.device))[:, -1]
            return torch.log_softmax(opened.head.logits(hidden).float(), dim=-1).cpu()

    def next_logps_from(self, side: Side, ids: Tensor, layer: int, states: Tensor) -> Tensor:
        """See `Interior.next_logps_from`."""
        self._check([layer])
        with self._opened(side) as opened, opened.stream.beginning(layer, states):
            hidden = engine.body(opened.model, ids.to(opened.model.device))[:, -1]
            return torch.log_softmax(opened.head.logits(hidden).float(), dim=-1).cpu()

    def token_logps(self, side: Side, ids: Tensor, edit: Edit | None = None) -> Tensor:
        """See `Interior.token_logps`."""
        if edit is not None:
            self._check([edit.layer])
        with self._opened(side) as opened, opened.stream.editing(edit):
            size = max(1, _SCORED_AT_ONCE // ids.shape[1])
            return torch.cat([_logps(opened, part) for part in torch.split(ids, len(ids) if edit else size)])

    def logps_from(self, side: Side, ids: Tensor, layer: int, states: Tensor) -> Tensor:
        """See `Interior.logps_from`."""
        self._check([layer])
        size = max(1, _SCORED_AT_ONCE // ids.shape[1])
        found = []
        with self._opened(side) as opened:
            for part, own in zip(torch.split(ids, size), torch.split(states, size), strict=True):
                with opened.stream.beginning(layer, own):
                    found.append(_logps(opened, part))
        return torch.cat(found)

    def generate(
        self,
        side: Side,
        prompts: Sequence[Prompt],
        decoding: Decoding,
        edit: Edit | None = None,
        progress: Progress | None = None,
    ) -> list[Completion]:
        """See `Interior.generate`."""
        if edit is not None:
            self._check([edit.layer])
        return self._sided.generate(side, prompts, decoding, progress, edit)


class _Sums:
    """Running sums of residuals over even and odd rows: `[2, layers, positions, d_model]`."""

    def __init__(self, layers: int, positions: int, d_model: int) -> None:
        self.halves = torch.zeros(2, layers, positions, d_model)
        self.norms = torch.zeros(layers, positions, dtype=torch.float64)
        self.counts = [0, 0]

    def add(self, found: Sequence[Tensor], first_row: int) -> None:
        """Add states `[batch, positions, d_model]` of each layer; ``first_row`` is the place of the first of them."""
        for place, states in enumerate(found):
            values = states.float()
            for half in (0, 1):
                self.halves[half, place] += values[(half - first_row) % 2 :: 2].sum(0).cpu()
            self.norms[place] += values.norm(dim=-1).sum(0, dtype=torch.float64).cpu()
        for half in (0, 1):
            self.counts[half] += len(range((half - first_row) % 2, len(found[0]), 2))

    def means(self) -> ResidualMeans:
        """What the sums come to."""
        total = sum(self.counts)
        counts = torch.tensor(self.counts).clamp_min(1).view(2, 1, 1, 1)
        return ResidualMeans(self.halves.sum(0) / total, self.halves / counts, (self.norms / total).float(), total)


def _lens(opened: _Opened, states: Tensor, normed: bool) -> Tensor:
    given = states.to(opened.model.device, opened.model.dtype)
    logits = opened.head.logits(opened.stream.norm(given) if normed else given)
    return torch.log_softmax(logits.float(), dim=-1).cpu()


def _logps(opened: _Opened, ids: Tensor) -> Tensor:
    on_device = ids.to(opened.model.device)
    hidden = engine.body(opened.model, on_device)[:, :-1]
    flat = opened.head.logps(hidden.flatten(0, 1), on_device[:, 1:].flatten())
    return flat.view(hidden.shape[:2]).float().cpu()


def _check_finite(states: Tensor, layers: Sequence[int], side: Side) -> None:
    """States or sums `[any, layers, ...]`."""
    for place, layer in enumerate(layers):
        if not bool(torch.isfinite(states[:, place]).all()):
            raise not_finite(f"the {side}", layer)
