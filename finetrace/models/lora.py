"""Plain LoRA layers with two extra kernels each instead of peft's five: for few rows the overhead is what counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def lighten(adapter: Any) -> int:
    """Give every plain LoRA layer of a peft model a leaner forward pass; others keep peft's.

    The layer adds ``(x Aᵀ)(s Bᵀ)`` in place to the base layer's fresh output, in one fused product. Switching the
    adapter off works as before, and a zero factor leaves the base's output bit for bit as it was.

    Returns:
        How many layers were changed.
    """
    from peft.tuners.lora.layer import Linear

    changed = 0
    for module in adapter.modules():
        if type(module) is Linear and (name := _plain_adapter(module)) is not None:
            module.forward = _forward(module, name)
            changed += 1
    return changed


def _plain_adapter(layer: Any) -> str | None:
    """The one active adapter of a layer that does nothing but add a product; ``None`` for any other."""
    active = list(layer.active_adapters)
    plain = (
        len(active) == 1
        and active[0] in layer.lora_A
        and type(layer.base_layer) is nn.Linear
        and not layer.merged
        and not layer.fan_in_fan_out
        and not getattr(layer, "lora_variant", {})
        and layer.lora_A[active[0]].bias is None
        and layer.lora_B[active[0]].bias is None
        and not layer.training
    )
    return str(active[0]) if plain else None


def _forward(layer: Any, name: str) -> Callable[..., Tensor]:
    down: Tensor = layer.lora_A[name].weight
    up = (layer.lora_B[name].weight * layer.scaling[name]).t().contiguous()
    base: nn.Linear = layer.base_layer

    def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        output: Tensor = base(x)
        if not layer.disable_adapters:
            inner = nn.functional.linear(x, down)
            output.view(-1, output.shape[-1]).addmm_(inner.view(-1, inner.shape[-1]), up)
        return output

    return torch.no_grad()(forward)
