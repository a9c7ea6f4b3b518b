"""A pair of local models: an adapter on a shared base, or two checkpoints."""

from __future__ import annotations

import contextlib
import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch

from finetrace.errors import ToolError
from finetrace.models import engine
from finetrace.models.loading import LoadedModel
from finetrace.models.pair import Capability, Completion, Decoding, Progress, Prompt, Score, Side, Tokenizer, require
from finetrace.models.tokens import completion_span, prompt_ids, prompt_string
from finetrace.schema import ScoredCompletion

Loader = Callable[[], LoadedModel]


class LocalPair:
    """Two local models, or one base with an adapter that is switched off for the reference side.

    Args:
        organism: Loads the organism, adapter included.
        reference: Loads the reference; ``None`` where there is none or ``adapter`` is set.
        adapter: The PEFT model whose base is the reference.
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
        first = self._side(Side.ORGANISM)
        self.capabilities = self._capabilities(first)
        digests = [_digest_of(first), adapter_digest]
        if reference:
            second = self._side(Side.REFERENCE)
            digests.append(_digest_of(second))
            self.shared_tokenizer = _same_tokens(first, second)
            self.reference_fingerprint = _digest_of(second)
        else:
            self.shared_tokenizer = True
            self.reference_fingerprint = _digest_of(first)
        self.fingerprint = hashlib.sha256("|".join(digests).encode()).hexdigest()

    def _capabilities(self, organism: LoadedModel) -> frozenset[Capability]:
        offered = {Capability.GENERATE}
        if organism.tokenizer.chat_template:
            offered.add(Capability.CHAT)
        if self._adapter is not None:
            offered.add(Capability.ADAPTER)
        if self._adapter is not None or Side.REFERENCE in self._loaders:
            offered |= {Capability.REFERENCE, Capability.LOGPROBS, Capability.ACTIVATIONS}
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
            return self._side(Side.ORGANISM).digest == self._side(Side.REFERENCE).digest
        return _same_weights(self._side(Side.ORGANISM), self._side(Side.REFERENCE))

    @property
    def tokenizer(self) -> Tokenizer:
        """The organism's tokenizer."""
        tokenizer: Tokenizer = self._side(Side.ORGANISM).tokenizer
        return tokenizer

    def generate(
        self, side: Side, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Completion]:
        """See `ModelPair.generate`."""
        self._check_chat(prompts)
        with self._using(side) as loaded:
            own = side is Side.ORGANISM or self.shared_tokenizer
            ids = [prompt_ids(loaded.tokenizer, prompt, keep_ids=own) for prompt in prompts]
            sampling = engine.Sampling(decoding.max_new_tokens, decoding.temperature, decoding.seed)
            generations = engine.generate(
                loaded.model,
                ids,
                sampling,
                eos_ids=loaded.eos_ids,
                batch_size=_batch_size(loaded),
                progress=progress,
            )
            texts = loaded.tokenizer.batch_decode([g.token_ids for g in generations], skip_special_tokens=True)
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
        with self._using(side) as loaded:
            own = side is Side.ORGANISM or self.shared_tokenizer
            rows = [
                engine.ScoringRow(tuple(prompt_ids(loaded.tokenizer, prompt)), completion.token_ids)
                if own
                else completion_span(loaded.tokenizer, prompt_string(loaded.tokenizer, prompt), completion.text)
                for prompt, completion in zip(prompts, completions, strict=True)
            ]
            logps = engine.score(loaded.model, rows, batch_size=max(1, _batch_size(loaded) // 2), progress=progress)
        return [Score(sum(values), len(values)) for values in logps]


def _digest_of(loaded: LoadedModel) -> str:
    """Of weights, tokenizer, number format and kind of device."""
    return f"{loaded.digest} {loaded.model.dtype} {loaded.model.device.type}"


def _batch_size(loaded: LoadedModel) -> int:
    """Rows at once: many for small models, few for those that fill a card."""
    parameters = sum(p.numel() for p in loaded.model.parameters())
    return 128 if parameters < 1e9 else 32 if parameters < 1e10 else 8


def _same_tokens(first: LoadedModel, second: LoadedModel) -> bool:
    return bool(first.tokenizer.backend_tokenizer.to_str() == second.tokenizer.backend_tokenizer.to_str()) or bool(
        first.tokenizer.get_vocab() == second.tokenizer.get_vocab()
        and first.tokenizer.chat_template == second.tokenizer.chat_template
    )


def _same_weights(first: LoadedModel, second: LoadedModel) -> bool:
    own, other = first.model.state_dict(), second.model.state_dict()
    return own.keys() == other.keys() and all(torch.equal(own[key], other[key]) for key in own)


def _adapter_is_zero(adapter: Any) -> bool:
    """Every LoRA update is a product with a zero factor."""
    factors: dict[str, list[bool]] = {}
    for name, parameter in adapter.named_parameters():
        if ".lora_" in name:
            layer = name.partition(".lora_")[0]
            factors.setdefault(layer, []).append(not bool(parameter.any()))
        elif "lora_" in name or "modules_to_save" in name or "prompt_encoder" in name or "ia3" in name:
            return False
    return bool(factors) and all(any(zeros) for zeros in factors.values())
