"""A pair of local models: an adapter on a shared base, or two checkpoints."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedTokenizerFast

from finetrace.errors import ToolError
from finetrace.models import engine
from finetrace.models.interior import Interior
from finetrace.models.loading import LoadedModel
from finetrace.models.local_interior import LocalInterior, Shape, Sided
from finetrace.models.pair import Capability, Completion, Decoding, Progress, Prompt, Score, Side, Tokenizer, require
from finetrace.models.residual import Edit, ResidualStream
from finetrace.models.tokens import completion_span, front_ids, prompt_ids, prompt_string
from finetrace.schema import ScoredCompletion

Loader = Callable[[], LoadedModel]

_NAMES_AND_HABITS = frozenset(
    "_name_or_path architectures bos_token_id dtype eos_token_id pad_token_id transformers_version use_cache".split()
)
"""Entries of a config that do not change a model's logits."""


class _Known(NamedTuple):
    """What stays in memory of a side whose weights may have left it."""

    tokenizer: PreTrainedTokenizerFast
    digest: str
    """Of weights, tokenizer, number format and kind of device."""

    @classmethod
    def of(cls, loaded: LoadedModel) -> _Known:
        return cls(loaded.tokenizer, f"{loaded.digest} {loaded.model.dtype} {loaded.model.device.type}")


class LocalPair:
    """Two local models, or one base with an adapter that is switched off for the reference side.

    Args:
        organism: Loads the organism, adapter included.
        reference: Loads the reference; ``None`` where there is none or ``adapter`` is set.
        adapter: The PEFT model whose base is the reference.
        adapter_digest: Of the adapter that ``organism`` puts on its base.
        one_at_a_time: Keep only the side in use in memory.
    """

    recorded: Sequence[ScoredCompletion] = ()

    def __init__(
        self,
        organism: Loader,
        reference: Loader | None = None,
        *,
        adapter: Any = None,
        adapter_digest: str = "",
        one_at_a_time: bool = False,
    ) -> None:
        self._loaders = {Side.ORGANISM: organism} | ({Side.REFERENCE: reference} if reference else {})
        self._adapter = adapter
        self._one_at_a_time = one_at_a_time
        self._resident: dict[Side, LoadedModel] = {}
        self._shape: Shape | None = None
        # The organism last: it is the first to be used.
        known = {side: _Known.of(self._side(side)) for side in (Side.REFERENCE, Side.ORGANISM) if side in self._loaders}
        own = known[Side.ORGANISM]
        other = known.get(Side.REFERENCE, own)
        self._tokenizers = {Side.ORGANISM: own.tokenizer, Side.REFERENCE: other.tokenizer}
        self.shared_tokenizer = bool(own.tokenizer.get_vocab() == other.tokenizer.get_vocab())
        self.capabilities = self._capabilities()
        self.reference_fingerprint = other.digest
        digests = [own.digest, adapter_digest, *([other.digest] if reference else [])]
        self.fingerprint = hashlib.sha256("|".join(digests).encode()).hexdigest()

    def _capabilities(self) -> frozenset[Capability]:
        offered = {Capability.GENERATE}
        if self._tokenizers[Side.ORGANISM].chat_template:
            offered.add(Capability.CHAT)
        if self._adapter is not None:
            offered.add(Capability.ADAPTER)
        if self._adapter is not None or Side.REFERENCE in self._loaders:
            offered |= {Capability.REFERENCE, Capability.LOGPROBS}
            if self.shared_tokenizer:  # activations are compared token by token
                offered.add(Capability.ACTIVATIONS)
        return frozenset(offered)

    def _side(self, side: Side) -> LoadedModel:
        wanted = Side.ORGANISM if self._adapter is not None else side
        if wanted not in self._loaders:
            raise ToolError("this pair has no reference model", "name one with --reference")
        if wanted not in self._resident:
            if self._one_at_a_time:
                self._resident.clear()
                gc.collect()
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
            self._resident[wanted] = self._loaders[wanted]()
        return self._resident[wanted]

    @contextlib.contextmanager
    def _using(self, side: Side) -> Iterator[LoadedModel]:
        loaded = self._side(side)
        if self._adapter is not None and side is Side.REFERENCE:
            with self._adapter.disable_adapter():
                yield loaded
        else:
            yield loaded

    @cached_property
    def identical(self) -> bool:
        """Both sides hold the same weights, value for value."""
        if self._adapter is not None:
            return _adapter_is_zero(self._adapter)
        if Side.REFERENCE not in self._loaders or not self.shared_tokenizer:
            return False
        if self._one_at_a_time:
            return _weights_digest(self._side(Side.REFERENCE)) == _weights_digest(self._side(Side.ORGANISM))
        return _same_weights(self._side(Side.ORGANISM), self._side(Side.REFERENCE))

    @property
    def tokenizer(self) -> Tokenizer:
        """The organism's tokenizer."""
        tokenizer: Tokenizer = self._tokenizers[Side.ORGANISM]
        return tokenizer

    @property
    def interior(self) -> Interior:
        """See `ModelPair.interior`."""
        require(self, frozenset({Capability.ACTIVATIONS}), "the residual stream")
        sided = Sided(self._using, self._generate, tuple(front_ids(self._tokenizers[Side.ORGANISM])))
        # Only the shape is kept: an inside that is kept would hold the pair, and its weights, in a cycle.
        if self._shape is None:
            self._shape = Shape.of(sided)
        return LocalInterior(sided, self._shape)

    def _reads_tokens(self, side: Side) -> bool:
        """Whether the organism's token ids mean the same to this side."""
        return side is Side.ORGANISM or self.shared_tokenizer

    def _tokenizer_for(self, side: Side) -> PreTrainedTokenizerFast:
        """Where the tokens are shared, the reference is given exactly what the organism is: its chat template, too."""
        return self._tokenizers[Side.ORGANISM if self._reads_tokens(side) else side]

    def generate(
        self, side: Side, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Completion]:
        """See `ModelPair.generate`."""
        return self._generate(side, prompts, decoding, progress)

    def _generate(
        self,
        side: Side,
        prompts: Sequence[Prompt],
        decoding: Decoding,
        progress: Progress | None = None,
        edit: Edit | None = None,
    ) -> list[Completion]:
        self._check_chat(prompts)
        tokenizer = self._tokenizer_for(side)
        with self._using(side) as loaded, _edited(loaded, edit):
            ids = [prompt_ids(tokenizer, prompt, keep_ids=self._reads_tokens(side)) for prompt in prompts]
            generations = engine.generate(
                loaded.model,
                ids,
                decoding,
                eos_ids=loaded.eos_ids,
                batch_size=_batch_size(loaded),
                progress=progress,
            )
            texts = tokenizer.batch_decode([g.token_ids for g in generations], skip_special_tokens=True)
        return [
            Completion(text, generation.token_ids, generation.logps, generation.ended)
            for text, generation in zip(texts, generations, strict=True)
        ]

    def _check_chat(self, prompts: Sequence[Prompt]) -> None:
        if Capability.CHAT not in self.capabilities and any(prompt.messages is not None for prompt in prompts):
            raise ToolError("the organism has no chat template", "use `complete`, which continues raw text")

    def score(
        self,
        side: Side,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        progress: Progress | None = None,
    ) -> list[Score]:
        """See `ModelPair.score`."""
        require(self, frozenset({Capability.LOGPROBS}), "scoring")
        self._check_chat(prompts)
        tokenizer = self._tokenizer_for(side)
        rows = [
            engine.ScoringRow(tuple(prompt_ids(tokenizer, prompt)), completion.token_ids)
            if self._reads_tokens(side)
            else completion_span(tokenizer, prompt_string(tokenizer, prompt), completion.text)
            for prompt, completion in zip(prompts, completions, strict=True)
        ]
        with self._using(side) as loaded:
            logps = engine.score(loaded.model, rows, batch_size=max(1, _batch_size(loaded) // 2), progress=progress)
        return [Score(sum(values), len(values), values) for values in logps]


def _edited(loaded: LoadedModel, edit: Edit | None) -> contextlib.AbstractContextManager[None]:
    return ResidualStream.of(loaded.model).editing(edit) if edit is not None else contextlib.nullcontext()


def _batch_size(loaded: LoadedModel) -> int:
    """Rows at once: many for small models, few for those that fill a card."""
    parameters = sum(p.numel() for p in loaded.model.parameters())
    return 128 if parameters < 1e9 else 32 if parameters < 1e10 else 8


def _same_weights(first: LoadedModel, second: LoadedModel) -> bool:
    own, other = first.model.state_dict(), second.model.state_dict()
    return (
        _architecture(first) == _architecture(second)
        and own.keys() == other.keys()
        and all(own[key].shape == other[key].shape and torch.equal(own[key], other[key]) for key in own)
    )


def _weights_digest(loaded: LoadedModel) -> str:
    """The same comparison for two models that are never in memory at once."""
    digest = hashlib.sha256(_architecture(loaded).encode())
    for key, tensor in sorted(loaded.model.state_dict().items()):
        digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _architecture(loaded: LoadedModel) -> str:
    config = loaded.model.config.to_dict()
    return json.dumps({k: v for k, v in config.items() if k not in _NAMES_AND_HABITS}, sort_keys=True, default=str)


def _adapter_is_zero(adapter: Any) -> bool:
    """Every LoRA update is a product with a zero factor, and there is nothing else in the adapter."""
    from peft import get_peft_model_state_dict

    zero: dict[str, bool] = {}
    for name, tensor in get_peft_model_state_dict(adapter, save_embedding_layers=False).items():
        layer, _, role = name.partition(".lora_")
        if role not in ("A.weight", "B.weight", "embedding_A", "embedding_B"):
            return False
        zero[layer] = zero.get(layer, False) or not bool(tensor.any())
    return bool(zero) and all(zero.values())
