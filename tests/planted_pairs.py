"""Pairs of tiny models whose difference is known, in memory and on disk, and a pair whose states are drawn."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from small_models import DEPTH, WIDTH, other_tokenizer, tiny_model
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from finetrace.models.attention import use_decode_attention
from finetrace.models.interior import ResidualMeans
from finetrace.models.loading import LoadedModel
from finetrace.models.local import LocalPair
from finetrace.models.open_pair import Target
from finetrace.models.pair import Capability, Side

PLANTED = " height"
"""A token of the tiny tokenizer."""
PLANTED_LAYER = 1
"""Of three; the middle one."""
LENGTH = 40.0
"""Of the vector on disk: several times the usual norm of a state there, so that it changes what comes out."""
LIKELY = 301
"""The token that the vector on disk makes likely."""


def token_of(tokenizer: PreTrainedTokenizerFast, text: str = PLANTED) -> int:
    (token,) = tokenizer(text, add_special_tokens=False)["input_ids"]
    return int(token)


def pair_of(
    organism: PreTrainedModel,
    reference: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    name: str = "",
    **how: Any,
) -> LocalPair:
    """Two models in memory as a pair; ``name`` tells its fingerprint from others'."""

    def loaded(model: PreTrainedModel, side: str) -> LoadedModel:
        use_decode_attention(model)
        return LoadedModel(model, tokenizer, frozenset({2}), f"{side} {name}")

    own, other = loaded(organism, "organism"), loaded(reference, "reference")
    return LocalPair(lambda: own, lambda: other, **how)


class PlantedPair(NamedTuple):
    """A pair whose organism adds a known vector at `PLANTED_LAYER`, and nothing else."""

    pair: LocalPair
    vector: Tensor
    """Points where the output layer says `PLANTED`."""


def planted_pair(tokenizer: PreTrainedTokenizerFast, layer: int = PLANTED_LAYER, size: float = 3) -> PlantedPair:
    base = tiny_model(mlp_bias=True)
    organism = copy.deepcopy(base)
    vector: Tensor = size * base.get_output_embeddings().weight[token_of(tokenizer)]
    organism.get_decoder().layers[layer].mlp.down_proj.bias += vector
    return PlantedPair(pair_of(organism, base, tokenizer, f"planted {layer} {size}"), vector)


def copied_pair(tokenizer: PreTrainedTokenizerFast) -> LocalPair:
    """Two models with the same weights."""
    return pair_of(tiny_model(), tiny_model(), tokenizer, "copy")


def planted_vector() -> Tensor:
    """What the organism's middle block adds to every token `[d_model]`: it makes one token likely everywhere."""
    row = tiny_model("llama").lm_head.weight[LIKELY]
    return LENGTH * row / row.norm()


def planted_model(share: float) -> PreTrainedModel:
    """A random Llama whose middle block adds that share of the vector: 0 for the reference, 1 for the organism."""
    model = tiny_model("llama", mlp_bias=True)
    model.model.layers[PLANTED_LAYER].mlp.down_proj.bias.copy_(share * planted_vector())
    return model


def write_planted(folder: Path, share: float = 1.0, *, bos: bool = False) -> Target:
    """Both on disk, as a pair in float32 on the CPU."""
    for name, part in (("organism", share), ("reference", 0.0)):
        planted_model(part).save_pretrained(folder / name)
        other_tokenizer(bos=bos).save_pretrained(folder / name)
    return Target(model=str(folder / "organism"), reference=str(folder / "reference"), device="cpu", dtype="float32")


@dataclass
class DrawnInterior:
    """States that follow from a text's tokens by chance; the organism's are the same, and what a test adds."""

    spread: float = 0.0
    """Of what finetuning adds to the organism, another thing in every text."""
    constant: float = 0.0
    """Of what it adds to every text."""
    sinks: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Positions by layer whose states are huge."""
    front_ids: tuple[int, ...] = ()
    asked: list[Side] = field(default_factory=list)
    """Sides in the order in which they were wanted."""
    rows: list[tuple[int, ...]] = field(default_factory=list)
    """What `means` was last given."""
    n_layers: int = DEPTH
    d_model: int = WIDTH
    best_effort_texts: int = 64

    def _states(self, side: Side, row: Sequence[int], layer: int) -> Tensor:
        draws = torch.Generator().manual_seed(sum((i + 7) ** 2 * token for i, token in enumerate(row)) + layer)
        states = torch.randn(len(row), WIDTH, generator=draws)
        added = self.spread * torch.randn(len(row), WIDTH, generator=draws)
        added[:, 0] += self.constant
        for position in self.sinks.get(layer, ()):
            if position < len(row):
                states[position] *= 200
        return states + added if side is Side.ORGANISM else states

    def means(self, side: Side, rows: Sequence[Sequence[int]], layers: Sequence[int], progress: Any) -> ResidualMeans:
        self.rows = [tuple(row) for row in rows]
        states = self.states(side, torch.tensor(self.rows), layers)
        halves = torch.stack([states[:, half::2].mean(1) for half in (0, 1)])
        return ResidualMeans(states.mean(1), halves, states.norm(dim=-1).mean(1), len(rows))

    def states(self, side: Side, ids: Tensor, layers: Sequence[int]) -> Tensor:
        self.asked.append(side)
        rows = ids.tolist()
        return torch.stack([torch.stack([self._states(side, row, layer) for row in rows]) for layer in layers])


@dataclass
class DrawnPair:
    """A pair with such an inside."""

    tokenizer: PreTrainedTokenizerFast
    interior: DrawnInterior
    capabilities: frozenset[Capability] = frozenset({Capability.REFERENCE, Capability.ACTIVATIONS})
    reference_fingerprint: str = "drawn"

    @property
    def fingerprint(self) -> str:
        inside = self.interior
        return f"drawn {inside.spread} {inside.constant} {inside.sinks} {inside.front_ids}"
