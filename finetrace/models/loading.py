"""Load one model and its tokenizer: safetensors or GGUF only, no code from the model's author."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging

from finetrace.errors import FinetraceError
from finetrace.models.attention import use_decode_attention
from finetrace.models.source import ModelSource, SourceKind, check_safetensors

_WHOLE_DIGEST_BYTES = 4 << 30
_END_TOKENS = (
    "<|endoftext|>",
    "<|im_end|>",
    "</s>",
    "<eos>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<end_of_turn>",
)


class LoadedModel(NamedTuple):
    """A model ready to run."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    eos_ids: frozenset[int]
    """Tokens that end a completion."""
    digest: str
    """Of the weights and the tokenizer."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' own progress bars: the command shows one."""
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def load_model(source: ModelSource, device: str, dtype: torch.dtype) -> LoadedModel:
    """Load a full model (not an adapter).

    Raises:
        FinetraceError: The files do not make a decoder-only model, or would need the author's code.
    """
    location: dict[str, Any] = {"pretrained_model_name_or_path": source.path}
    extra: dict[str, Any] = {"use_safetensors": True}
    if source.kind is SourceKind.GGUF:
        from transformers import GgufConfig

        path = Path(source.path)
        location = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
        extra = {"quantization_config": GgufConfig(dequantize=True)}
    if device == "cuda":
        extra["device_map"] = "auto"
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(**location, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(**location, dtype=dtype, trust_remote_code=False, **extra)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise _load_error(source, error) from error
    model = model.eval().requires_grad_(False)
    use_decode_attention(model)
    return LoadedModel(model, tokenizer, _end_ids(model, tokenizer), _digest(source, model, tokenizer))


def _load_error(source: ModelSource, error: Exception) -> FinetraceError:
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if "trust_remote_code" in str(error):
        return FinetraceError(
            f"{source.name} runs code of its author when loaded: refused",
            "use a model of an architecture that transformers knows",
        )
    if "safetensors" in first and source.kind is SourceKind.HUB:
        return FinetraceError(f"{source.name} offers no safetensors", "pickled weights can run code and are refused")
    return FinetraceError(
        f"cannot load {source.name}: {first[:200]}", "name a decoder-only model with safetensors or GGUF"
    )


def _end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> frozenset[int]:
    configured = model.generation_config.eos_token_id if model.generation_config else None
    ids = set(configured if isinstance(configured, list) else [configured])
    ids.add(tokenizer.eos_token_id)
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    vocabulary = tokenizer.get_vocab()
    ids |= {vocabulary[token] for token in _END_TOKENS if vocabulary.get(token) in special}
    return frozenset(token for token in ids if token is not None)


def _digest(source: ModelSource, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> str:
    digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode())
    digest.update(str(tokenizer.chat_template).encode())
    if source.kind is SourceKind.HUB:
        digest.update(f"{source.path}@{getattr(model.config, '_commit_hash', None)}".encode())
        return digest.hexdigest()
    path = Path(source.path)
    files = [path] if path.is_file() else sorted([*path.glob("*.safetensors"), path / "config.json"])
    for file in files:
        digest.update(digest_file(file).encode())
    return digest.hexdigest()


def digest_file(path: Path) -> str:
    """sha256 of a file; of a very large one its size, its time of change, its first and last megabyte."""
    with path.open("rb") as file:
        size = path.stat().st_size
        if size <= _WHOLE_DIGEST_BYTES:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256(f"{size} {path.stat().st_mtime_ns}".encode())
        digest.update(file.read(1 << 20))
        file.seek(-(1 << 20), 2)
        digest.update(file.read())
        return digest.hexdigest()


def attach_adapter(base: LoadedModel, adapter: ModelSource) -> Any:
    """The base with a PEFT adapter on it; one set of weights serves both.

    Raises:
        FinetraceError: The adapter was made for another base.
    """
    from peft import PeftModel

    _check_fit(base, adapter)
    try:
        with quiet():
            peft_model = PeftModel.from_pretrained(
                base.model, adapter.path, is_trainable=False, autocast_adapter_dtype=False
            )
    except (RuntimeError, ValueError, KeyError, OSError, TypeError, SafetensorError) as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise FinetraceError(f"cannot put {adapter.name} on its base: {first[:200]}", _fit_hint(adapter)) from error
    return peft_model.to(base.model.dtype).eval().requires_grad_(False)


def _fit_hint(adapter: ModelSource) -> str:
    return f"its config names {adapter.base or 'no base'}: give the base it was trained on with --reference"


def _check_fit(base: LoadedModel, adapter: ModelSource) -> None:
    """Compare LoRA shapes with the layers they are for, so that a wrong base is told before anything is changed."""
    shapes = {name: tuple(p.shape) for name, p in base.model.named_parameters()}
    for key, shape in check_safetensors(Path(adapter.path) / "adapter_model.safetensors").items():
        layer, _, role = key.removeprefix("base_model.model.").partition(".lora_")
        if role not in ("A.weight", "B.weight"):
            continue
        weight = shapes.get(f"{layer}.weight")
        if weight is None:
            raise FinetraceError(f"{adapter.name} is for another base: there is no layer {layer}", _fit_hint(adapter))
        wanted, found = (weight[1], shape[1]) if role.startswith("A") else (weight[0], shape[0])
        if len(weight) == 2 and wanted != found:
            raise FinetraceError(
                f"{adapter.name} is for another base: {layer} has width {wanted}, the adapter {found}",
                _fit_hint(adapter),
            )
