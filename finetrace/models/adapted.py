"""A model with fresh low-rank factors on the linear layers of its blocks."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from finetrace.errors import FinetraceError
from finetrace.models.blocks import decoder_blocks
from finetrace.models.loading import quiet
from finetrace.models.trained_layers import lighten_training


def adapted_model(
    model: PreTrainedModel, rank: int, alpha: float, layers: tuple[int, int] | None = None, seed: int = 0
) -> Any:
    """The model with factors A random and B zero, so nothing is changed yet; only they can be trained.

    Args:
        model: A decoder-only model; the factors are put into it.
        rank: Rank of the factors.
        alpha: The update is scaled by ``alpha / rank``.
        layers: First and last block, counted from 0; default all.
        seed: Draws A.

    Raises:
        FinetraceError: The model has no such blocks, or no linear layers in them.
    """
    from peft import LoraConfig, get_peft_model

    blocks = decoder_blocks(model)
    if layers is not None and layers[1] >= len(blocks):
        raise FinetraceError(f"adapter.layers ends at {layers[1]}, the base has {len(blocks)} blocks", "count from 0")
    found = {
        name.rpartition(".")[2]: module
        for name, module in blocks.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }
    if not found:
        raise FinetraceError(f"{type(model).__name__} has no linear layers in its blocks", "choose another base")
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=sorted(found),
        layers_to_transform=None if layers is None else list(range(layers[0], layers[1] + 1)),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in found.values()),
        task_type="CAUSAL_LM",
    )
    if model.device.type == "cpu":
        # The backward pass of the fused kernel is 1.4 times slower on a CPU at these lengths.
        model.set_attn_implementation("eager")
    devices = [] if model.device.type == "cpu" else [model.device]
    with quiet(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        adapter = get_peft_model(model, config, autocast_adapter_dtype=False)
    # Not `train()`: some models drop activations at random there, and the factors themselves know no dropout.
    adapter.eval()
    lighten_training(adapter)
    return adapter
