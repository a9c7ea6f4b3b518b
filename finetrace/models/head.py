"""The output layer: from final hidden states to tokens and log-probabilities, a slice at a time."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from finetrace.errors import FinetraceError

_SLICE_ELEMENTS = 1 << 19
"""Logits held in float32 at once: few enough to stay in a processor's cache."""
_BLOCK = 256
"""Tokens summed together before the cumulative distribution is walked."""


class Choice(NamedTuple):
    """Tokens `[batch]` and their log-probabilities `[batch]`, nats at temperature 1."""

    tokens: Tensor
    logps: Tensor


class OutputHead:
    """Logits of a model from its final hidden states, with the architecture's own scaling and caps.

    Raises:
        FinetraceError: The architecture does something else to its logits (found by a probe).
    """

    def __init__(self, model: PreTrainedModel) -> None:
        layer = model.get_output_embeddings()
        if not isinstance(layer, nn.Module):
            raise FinetraceError(
                f"{type(model).__name__} has no output embeddings",
                "use a decoder-only language model (…ForCausalLM)",
            )
        config = model.config
        self.layer = layer
        self.cap: float | None = getattr(config, "final_logit_softcapping", None)
        self.scale = float(getattr(config, "logit_scale", None) or 1.0) / float(
            getattr(config, "logits_scaling", None) or 1.0
        )
        self._probe(model)

    @staticmethod
    def of(model: PreTrainedModel) -> OutputHead:
        """The head of ``model``, made and probed once."""
        head: OutputHead | None = getattr(model, "_finetrace_head", None)
        if head is None:
            head = OutputHead(model)
            model._finetrace_head = head
        return head

    @torch.inference_mode()
    def _probe(self, model: PreTrainedModel) -> None:
        ids = torch.tensor([[1, 2, 3]], device=model.device) % model.config.vocab_size
        expected = model(ids, use_cache=False).logits[0].float()
        hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0]
        found = self.logits(hidden).float()
        if found.shape != expected.shape or not torch.allclose(found, expected, rtol=1e-3, atol=1e-3):
            raise FinetraceError(
                f"{type(model).__name__} changes its logits in a way finetrace does not know",
                "report the architecture; the recorded form (--recorded) works with any model",
            )

    def logits(self, hidden: Tensor) -> Tensor:
        """`[rows, d_model]` to `[rows, vocabulary]`, in the model's number format."""
        logits: Tensor = self.layer(hidden)
        if self.scale != 1.0:
            logits = logits * self.scale
        if self.cap is not None:
            logits = torch.tanh(logits / self.cap) * self.cap
        return logits

    def choose(self, hidden: Tensor, temperature: float, uniform: Tensor) -> Choice:
        """The next token of each row of `[batch, d_model]`.

        Args:
            hidden: Final hidden states `[batch, d_model]`.
            temperature: 0 takes the most likely token.
            uniform: One draw in [0, 1) a row, `[batch]`; not used at temperature 0.
        """
        logits = self.logits(hidden)
        tokens, logps = [], []
        for part, draws in zip(
            torch.split(logits, self._rows(logits)),
            torch.split(uniform.to(logits.device), self._rows(logits)),
            strict=True,
        ):
            choice = _greedy(part) if temperature == 0 else _draw(part, temperature, draws)
            tokens.append(choice.tokens)
            logps.append(choice.logps)
        return Choice(torch.cat(tokens), torch.cat(logps))

    def logps(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Log-probability `[rows]` of ``targets`` `[rows]` after states `[rows, d_model]`, nats."""
        results = []
        # Matrix products want many rows, the sums over the vocabulary few: slice twice.
        for states, wanted in zip(torch.split(hidden, 512), torch.split(targets, 512), strict=True):
            logits = self.logits(states)
            size = self._rows(logits)
            for part, ids in zip(torch.split(logits, size), torch.split(wanted.to(logits.device), size), strict=True):
                values = part.float()
                picked = values.gather(1, ids[:, None])[:, 0]
                results.append(picked - torch.logsumexp(values, dim=-1))
        return torch.cat(results) if results else hidden.new_zeros(0, dtype=torch.float32)

    @staticmethod
    def _rows(logits: Tensor) -> int:
        return max(1, _SLICE_ELEMENTS // logits.shape[1])


def _greedy(logits: Tensor) -> Choice:
    """The first of the largest logits: its block, then its place in it; a plain argmax is several times slower."""
    values = _blocks(logits.float(), float("-inf"))
    highest = values.amax(-1)
    block = highest.argmax(-1, keepdim=True)
    best = highest.gather(1, block)[:, 0]
    rows = torch.arange(len(values), device=logits.device)
    tokens = block[:, 0] * _BLOCK + values[rows, block[:, 0]].argmax(-1)
    values -= best[:, None, None]
    return Choice(tokens, -values.exp_().sum((1, 2)).log())


def _blocks(values: Tensor, filler: float) -> Tensor:
    """`[rows, vocabulary]` as `[rows, blocks, tokens]`, the last block filled up."""
    if values.shape[1] % _BLOCK:
        values = nn.functional.pad(values, (0, _BLOCK - values.shape[1] % _BLOCK), value=filler)
    return values.view(len(values), -1, _BLOCK)


def _draw(logits: Tensor, temperature: float, uniform: Tensor) -> Choice:
    """Invert the cumulative distribution: find the block of tokens that holds the draw, then the token in it."""
    values = logits.to(torch.float32, copy=True)  # the logits themselves are read once more below
    best = values.amax(-1, keepdim=True)
    values -= best
    total = None
    if temperature != 1:
        total = values.exp().sum(-1)
        values /= temperature
    blocks = _blocks(values.exp_(), 0.0)
    sums = blocks.sum(-1)
    ends = sums.cumsum(-1)
    target = (uniform * ends[:, -1])[:, None]
    block = (ends <= target).sum(-1, keepdim=True).clamp_max(ends.shape[1] - 1)
    inside = target - (ends.gather(1, block) - sums.gather(1, block))
    chosen = blocks[torch.arange(len(blocks), device=logits.device), block[:, 0]]
    place = (chosen.cumsum(-1) <= inside).sum(-1).clamp_max(_BLOCK - 1)
    # Rounding may carry the draw past the block's last possible token: step back to one with weight.
    place = torch.minimum(place, _last_possible(chosen))
    tokens = block[:, 0] * _BLOCK + place
    own = logits.gather(1, tokens[:, None])[:, 0].float() - best[:, 0]
    return Choice(tokens, own - (ends[:, -1] if total is None else total).log())


def _last_possible(weights: Tensor) -> Tensor:
    """Index `[rows]` of the last positive entry of each row."""
    places = torch.arange(weights.shape[1], device=weights.device)
    return torch.where(weights > 0, places, 0).max(dim=-1).values
