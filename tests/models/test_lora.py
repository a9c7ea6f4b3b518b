"""The lean LoRA layers say what peft's say, and the base is untouched."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_models import tiny_llama

from finetrace.models.lora import lighten


def adapted(seed: int = 0, **settings: Any) -> Any:
    """A tiny Llama with a random LoRA that does something."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=3, lora_alpha=5, target_modules=["q_proj", "down_proj", "o_proj"], lora_dropout=0.1, **settings
    )
    model = get_peft_model(tiny_llama(seed), config).eval().requires_grad_(False)
    torch.manual_seed(1)
    for key, parameter in model.named_parameters():
        if "lora_B" in key:
            parameter.data.normal_(std=0.3)
    return model


IDS = torch.tensor([[5, 9, 200, 31], [7, 7, 8, 1000]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_lean_layers_equal_pefts(dtype: torch.dtype) -> None:
    model = adapted().to(dtype)
    before = model(IDS).logits.float()
    assert lighten(model) == 6
    after = model(IDS).logits.float()
    assert not torch.equal(before, tiny_llama().to(dtype)(IDS).logits.float())
    spread = float(before.std())
    assert float((before - after).abs().max()) < (1e-5 if dtype is torch.float32 else 0.1) * spread


def test_switched_off_the_base_is_there_bit_for_bit() -> None:
    model, plain = adapted(), tiny_llama()
    lighten(model)
    with model.disable_adapter():
        assert torch.equal(model(IDS).logits, plain(IDS).logits)
    assert not torch.equal(model(IDS).logits, plain(IDS).logits)


def test_a_zero_factor_changes_nothing() -> None:
    model, plain = adapted(), tiny_llama()
    for key, parameter in model.named_parameters():
        if "lora_B" in key:
            parameter.data.zero_()
    lighten(model)
    assert torch.equal(model(IDS).logits, plain(IDS).logits)


def test_layers_that_do_more_keep_pefts_forward() -> None:
    assert lighten(adapted(use_dora=True)) == 0
    training = adapted()
    training.train()
    assert lighten(training) == 0
