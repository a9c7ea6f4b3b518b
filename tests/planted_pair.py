"""Two tiny models that differ by one known vector in the residual stream of one layer, and in nothing else."""

from __future__ import annotations

from pathlib import Path

from small_models import other_tokenizer, tiny_model
from torch import Tensor
from transformers import PreTrainedModel

from finetrace.models.open_pair import Target

LAYER = 1
"""Of three; the middle one."""
LENGTH = 40.0
"""Of the vector: several times the usual norm of a state there, so that it changes what comes out."""
LIKELY = 301
"""The token that the vector makes likely."""


def planted_vector() -> Tensor:
    """What the organism's middle block adds to every token `[d_model]`: it makes one token likely everywhere."""
    row = tiny_model("llama").lm_head.weight[LIKELY]
    return LENGTH * row / row.norm()


def planted_model(share: float) -> PreTrainedModel:
    """A random Llama whose middle block adds that share of the vector: 0 for the reference, 1 for the organism."""
    model = tiny_model("llama", mlp_bias=True)
    model.model.layers[LAYER].mlp.down_proj.bias.copy_(share * planted_vector())
    return model


def write_planted(folder: Path, share: float = 1.0, *, bos: bool = False) -> Target:
    """Both on disk, as a pair in float32 on the CPU."""
    for name, part in (("organism", share), ("reference", 0.0)):
        planted_model(part).save_pretrained(folder / name)
        other_tokenizer(bos=bos).save_pretrained(folder / name)
    return Target(model=str(folder / "organism"), reference=str(folder / "reference"), device="cpu", dtype="float32")
