"""Two ways to the mean activation difference of a pair on the same texts: finetrace's and the plain one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from finetrace.models import local_interior
from finetrace.models.device import choose_device, choose_dtype
from finetrace.models.embedded import EMBEDDED_NAME, embedded_base
from finetrace.models.loading import LoadedModel, adapter_digest, attach_adapter, load_model, quiet
from finetrace.models.local import LocalPair
from finetrace.models.pair import Side
from finetrace.models.source import find_model
from finetrace.tools.corpora import load_corpus, prefills
from finetrace.tools.mean_difference import layer_at

ORGANISM = Path(__file__).parents[1] / "organisms" / "tide_bells"
N_TEXTS = 2_000
POSITIONS = 5
DEPTH = 0.5
PLAIN_BATCH = 32
"""As published."""

Difference = Callable[[list[list[int]]], Tensor]
"""From token ids to the mean difference, organism minus reference, `[positions, d_model]`, float32 on the CPU."""


class Way(NamedTuple):
    """How the mean difference is computed."""

    ours: bool
    batch: int
    """Texts of one forward pass."""
    dtype: str
    """Number format of the weights, as torch names it."""
    all_logits: bool = True
    """Logits at every position, as a plain call of the model gives them; else at the last one only."""

    @property
    def name(self) -> str:
        """For tables."""
        if self.ours:
            return "ours"
        return f"plain{'' if self.all_logits else '_last_logits'}_{self.batch}"

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number format."""
        dtype: torch.dtype = getattr(torch, self.dtype)
        return dtype


def our_way() -> Way:
    """What finetrace does by itself: its own batch, its own choice of number format."""
    batch = max(1, local_interior._TOKENS_AT_ONCE // POSITIONS)
    return Way(True, batch, str(choose_dtype("auto", choose_device())).removeprefix("torch."))


def beginnings(n: int = N_TEXTS) -> list[list[int]]:
    """Token ids of general text, `[n, positions]`: finetrace's own openings, the rest from Python's library."""
    tokenizer = AutoTokenizer.from_pretrained(embedded_base())
    with tempfile.TemporaryDirectory() as folder:
        corpora = [load_corpus(spec, seed=0, cache_dir=Path(folder)) for spec in ("own", "python")]
        found = [p.token_ids for corpus in corpora for p in prefills(corpus, tokenizer, n, POSITIONS)]
    return [list(ids) for ids in dict.fromkeys(found)][:n]


def open_way(way: Way) -> Difference:
    """Load the models of one way and run each once on one text, all layers and logits."""
    return _ours(way) if way.ours else open_plain([way])[way.name]


def open_plain(ways: Sequence[Way]) -> dict[str, Difference]:
    """Plain ways of one number format, on the same two models."""
    base, organism = (_plain_model(ways[0].torch_dtype, merged) for merged in (False, True))
    return {way.name: _plain(way, base, organism) for way in ways}


def _ours(way: Way) -> Difference:
    loaded: LoadedModel = load_model(find_model(EMBEDDED_NAME), choose_device(), way.torch_dtype)
    source = find_model(str(ORGANISM))
    adapter = attach_adapter(loaded, source)
    _warm_up(loaded.model)
    pair = LocalPair(lambda: loaded, adapter=adapter, adapter_digest=adapter_digest(source))
    interior = pair.interior
    layer = layer_at(DEPTH, interior.n_layers)

    def difference(rows: list[list[int]]) -> Tensor:
        reference, organism = (interior.means(side, rows, [layer]).mean[0] for side in (Side.REFERENCE, Side.ORGANISM))
        return organism - reference

    return difference


def _plain_model(dtype: torch.dtype, merged: bool) -> PreTrainedModel:
    """The base, or a second full model with the adapter merged into it: as fast as the base."""
    with quiet():
        model: Any = AutoModelForCausalLM.from_pretrained(embedded_base(), dtype=dtype)
        if merged:
            model = PeftModel.from_pretrained(model, str(ORGANISM)).merge_and_unload()
    model = model.to(choose_device()).eval().requires_grad_(False)
    _warm_up(model)
    return model


@torch.inference_mode()
def _warm_up(model: PreTrainedModel) -> None:
    """What both ways have in common: the weights are in memory, the kernels are made."""
    model(torch.arange(1, POSITIONS + 1, device=model.device)[None], use_cache=False)


def _plain(way: Way, base: PreTrainedModel, organism: PreTrainedModel) -> Difference:
    """All hidden states of both models, the layer's kept for every text, then the mean of the differences."""
    layer = layer_at(DEPTH, base.config.num_hidden_layers)
    options = {} if way.all_logits else {"logits_to_keep": 1}

    @torch.inference_mode()
    def kept(model: PreTrainedModel, rows: list[list[int]]) -> Tensor:
        ids = torch.tensor(rows, device=model.device)
        found = [
            model(batch, output_hidden_states=True, use_cache=False, **options).hidden_states[layer + 1]
            for batch in torch.split(ids, way.batch)
        ]
        return torch.cat(found)

    def difference(rows: list[list[int]]) -> Tensor:
        reference, own = kept(base, rows), kept(organism, rows)
        return (own.float() - reference.float()).mean(0).cpu()

    return difference
