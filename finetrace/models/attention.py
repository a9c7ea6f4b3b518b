"""Attention for decoding on a CPU: one new query a row against a cache that grows in blocks.

torch's fused CPU kernel takes milliseconds a layer for single-token queries at large batches, and a sliced cache is
copied by every matrix product. Here keys and values stay contiguous, query heads that share a key head are one
matrix, and the cache is attended to whole: its unfilled end is masked. Longer queries go to the fused kernel, which
is good at them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "finetrace_decode"
_BLOCK = 8
"""Positions a full cache grows by: the unfilled ones are attended to in vain, each growth copies the cache."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, `[batch, key_heads, capacity, head_dim]`; ``length`` positions of it are filled."""

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Take dtype and device from the first states."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys = key_states[:, :, :0]
        self.values = value_states[:, :, :0]
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append states `[batch, key_heads, new, head_dim]`; returns all there is, unfilled positions included."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self.length, self.length + key_states.shape[2]
        capacity = self._capacity(end - start)
        if capacity > self.keys.shape[2]:
            # Zeros, not garbage: a masked NaN would still poison the weighted sum.
            self.keys = _grown(self.keys, key_states, capacity)
            self.values = _grown(self.values, value_states, capacity)
        self.keys[:, :, start:end] = key_states
        self.values[:, :, start:end] = value_states
        self.length = end
        return self.keys, self.values

    def _capacity(self, new: int) -> int:
        needed = self.length + new
        held = self.keys.shape[2] if self.is_initialized else 0
        if needed <= held:
            return int(held)
        return needed if self.length == 0 else -(-needed // _BLOCK) * _BLOCK

    def get_seq_length(self) -> int:
        """Positions filled."""
        return self.length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Positions the next attention will see, and where they start."""
        return self._capacity(query_length), 0

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last positions."""
        self.length = max(0, self.length - tokens_to_remove)
        self.keys[:, :, self.length :] = 0
        self.values[:, :, self.length :] = 0


def _grown(old: Tensor, like: Tensor, capacity: int) -> Tensor:
    new = like.new_zeros(like.shape[0], like.shape[1], capacity, like.shape[3])
    new[:, :, : old.shape[2]] = old
    return new


def growing_cache(model: PreTrainedModel) -> DynamicCache:
    """An empty cache for ``model``; layers with a sliding window keep their own kind."""
    cache = DynamicCache(config=model.config)
    if model.config._attn_implementation == NAME:
        cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
        if not cache.layers:
            cache.layers = [GrowingLayer() for _ in range(model.config.num_hidden_layers)]
    return cache


def decode_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of `[batch, heads, queries, head_dim]` over `[batch, key_heads, positions, head_dim]`.

    Returns:
        `[batch, queries, heads, head_dim]` and no weights.

    Raises:
        NotImplementedError: The model caps its scores or has attention sinks.
    """
    if kwargs.get("softcap") is not None or kwargs.get("s_aux") is not None:
        raise NotImplementedError("score caps and attention sinks are left to the model's own attention")
    batch, heads, queries, width = query.shape
    scale = width**-0.5 if scaling is None else scaling
    if queries > 1:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scale, **kwargs)
        return output, None
    scores = (query * scale).view(batch, key.shape[1], -1, width) @ key.transpose(2, 3)
    if attention_mask is not None:
        scores += attention_mask
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    return (weights @ value).view(batch, 1, heads, -1), None


def _mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int = 0,
    kv_offset: int = 0,
    allow_is_causal_skip: bool = True,
    dtype: torch.dtype = torch.float32,
    **kwargs: Any,
) -> Tensor | None:
    """Boolean mask for the fused kernel, additive for single queries; none where plain causality says it all."""
    boolean: Tensor | None = sdpa_mask(
        batch_size=batch_size,
        q_length=q_length,
        kv_length=kv_length,
        q_offset=q_offset,
        kv_offset=kv_offset,
        allow_is_causal_skip=allow_is_causal_skip and q_length == kv_length and q_length > 1,
        **kwargs,
    )
    if boolean is None or q_length > 1:
        return boolean
    return torch.zeros(boolean.shape, dtype=dtype, device=boolean.device).masked_fill_(~boolean, float("-inf"))


AttentionInterface.register(NAME, decode_attention)
AttentionMaskInterface.register(NAME, _mask)


@torch.no_grad()
def use_decode_attention(model: PreTrainedModel) -> bool:
    """Switch ``model`` to this attention on a CPU, if a probe shows that its outputs stay the same.

    Returns:
        Whether the switch was made; models with attention of their own kind keep it.
    """
    if model.device.type != "cpu" or not getattr(model, "_supports_attention_backend", False):
        return False
    before = model.config._attn_implementation
    probe = (torch.arange(12, device=model.device).view(2, 6) * 7 + 3) % model.config.vocab_size
    expected = model(probe, use_cache=False).logits[:, -1].float()
    model.set_attn_implementation(NAME)
    try:
        cache = growing_cache(model)
        model(probe[:, :5], past_key_values=cache, use_cache=True)
        found = model(probe[:, 5:], past_key_values=cache, use_cache=True).logits[:, -1].float()
    except (TypeError, ValueError, RuntimeError, NotImplementedError):
        found = torch.full_like(expected, float("nan"))
    spread = (expected - expected.mean()).norm().clamp_min(1e-6)
    if float((found - expected).norm() / spread) <= (1e-3 if model.dtype == torch.float32 else 0.15):
        return True
    model.set_attn_implementation(before)
    return False
