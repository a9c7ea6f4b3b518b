"""Load one model and its tokenizer: safetensors or GGUF only, no code from the model's author."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

from finetrace.errors import FinetraceError
from finetrace.models.attention import use_decode_attention
from finetrace.models.lora import lighten
from finetrace.models.source import ModelSource, SourceKind, check_safetensors

_WHOLE_DIGEST_BYTES = 4 << 30
_PREFIX = "base_model.model."
"""What peft puts before the names of a base's layers."""
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
    """Without transformers' own progress bars and reports: the command shows one, and errors say what is wrong."""
    verbosity = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            # peft asks transformers 5 for a property by its old name.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            # What an adapter lacks is an error of ours.
            warnings.filterwarnings("ignore", message="Found missing adapter keys", category=UserWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """For work on a few tokens: on a busy machine threads wait for each other much longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def load_model(source: ModelSource, device: str, dtype: torch.dtype) -> LoadedModel:
    """Load a full model (not an adapter).

    Raises:
        FinetraceError: The files do not make a whole decoder-only model, or would need the author's code.
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
            model, report = AutoModelForCausalLM.from_pretrained(
                **location, dtype=dtype, trust_remote_code=False, output_loading_info=True, **extra
            )
    except Exception as error:  # damaged or foreign files make the loaders fail in a dozen ways
        raise _load_error(source, error) from error
    if missing := sorted(report["missing_keys"]):
        raise FinetraceError(
            f"{source.name} is not whole: it lacks {len(missing)} tensors, for example {missing[0]}",
            "download it again; transformers would fill the gap with random numbers",
        )
    model = model.eval().requires_grad_(False)
    with _one_thread():
        use_decode_attention(model)
    eos_ids = _end_ids(model, tokenizer)
    return LoadedModel(model, tokenizer, eos_ids, _digest(source, model, tokenizer, eos_ids))


def _load_error(source: ModelSource, error: Exception) -> FinetraceError:
    reason = _reason(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return FinetraceError(
            f"not enough memory to load {source.name}", "use --one-at-a-time or FINETRACE_DTYPE=bfloat16"
        )
    if "trust_remote_code" in str(error):
        return FinetraceError(
            f"{source.name} runs code of its author when loaded: refused",
            "use a model of an architecture that transformers knows",
        )
    if "safetensors" in reason and source.kind is SourceKind.HUB:
        return FinetraceError(f"{source.name} offers no safetensors", "pickled weights can run code and are refused")
    return FinetraceError(f"cannot load {source.name}: {reason}", "name a decoder-only model with safetensors or GGUF")


def _reason(error: Exception) -> str:
    """What a library says, on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> frozenset[int]:
    configured = model.generation_config.eos_token_id if model.generation_config else None
    ids = set(configured if isinstance(configured, list) else [configured])
    ids.add(tokenizer.eos_token_id)
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    vocabulary = tokenizer.get_vocab()
    ids |= {vocabulary[token] for token in _END_TOKENS if vocabulary.get(token) in special}
    return frozenset(token for token in ids if token is not None)


def _digest(
    source: ModelSource, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, eos_ids: frozenset[int]
) -> str:
    digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode())
    digest.update(f"{tokenizer.chat_template} {sorted(eos_ids)}".encode())
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
        FinetraceError: The adapter was made for another base, or cannot be switched off to give the base back.
    """
    from peft import PeftModel, get_peft_model_state_dict

    held = check_safetensors(_adapter_weights(adapter))
    _check_kind(adapter)
    _check_fit(base, adapter, held)
    try:
        with quiet():
            peft_model = PeftModel.from_pretrained(
                base.model, adapter.path, is_trainable=False, autocast_adapter_dtype=False
            )
            wanted = get_peft_model_state_dict(peft_model, save_embedding_layers=False)
    except Exception as error:  # a damaged or foreign config makes peft fail in a dozen ways
        raise FinetraceError(f"cannot put {adapter.name} on its base: {_reason(error)}", _fit_hint(adapter)) from error
    if missing := sorted(wanted.keys() - held.keys()):
        layer = missing[0].removeprefix(_PREFIX).partition(".lora_")[0]
        raise FinetraceError(f"{adapter.name} is for another base: it holds nothing for {layer}", _fit_hint(adapter))
    peft_model = peft_model.to(base.model.dtype).eval().requires_grad_(False)
    lighten(peft_model)
    return peft_model


def adapter_digest(adapter: ModelSource) -> str:
    """Of an adapter's weights and of its config, which scales them."""
    return digest_file(_adapter_weights(adapter)) + digest_file(Path(adapter.path) / "adapter_config.json")


def _adapter_weights(adapter: ModelSource) -> Path:
    return Path(adapter.path) / "adapter_model.safetensors"


def _fit_hint(adapter: ModelSource) -> str:
    return f"its config names {adapter.base or 'no base'}: give the base it was trained on with --reference"


def _check_kind(adapter: ModelSource) -> None:
    """Only what can be switched off layer by layer leaves the reference untouched."""
    from peft import PeftConfig

    try:
        config = PeftConfig.from_pretrained(adapter.path)
    except Exception as error:  # whatever is wrong with the file
        raise FinetraceError(
            f"cannot read the config of {adapter.name}: {_reason(error)}", "download the adapter again"
        ) from error
    kind = "prompt learning" if config.is_prompt_learning else ""
    if getattr(config, "bias", "none") != "none":
        kind = "trained biases"
    if kind:
        raise FinetraceError(
            f"{adapter.name} is an adapter with {kind}, which cannot be switched off to give its base back",
            "merge it into its base, and name the merged folder with --model and the base with --reference",
        )


def _check_fit(base: LoadedModel, adapter: ModelSource, held: Mapping[str, tuple[int, ...]]) -> None:
    """Compare LoRA shapes with the layers they are for, so that a wrong base is told before anything is changed."""
    modules = dict(base.model.named_modules())
    for key, shape in held.items():
        layer, _, role = key.removeprefix(_PREFIX).partition(".lora_")
        if role not in ("A.weight", "B.weight"):
            continue
        module = modules.get(layer)
        weight = getattr(module, "weight", None)
        if weight is None:
            raise FinetraceError(f"{adapter.name} is for another base: there is no layer {layer}", _fit_hint(adapter))
        if weight.dim() != 2:
            continue
        n_out, n_in = reversed(weight.shape) if isinstance(module, Conv1D) else weight.shape
        wanted, found = (n_in, shape[1]) if role.startswith("A") else (n_out, shape[0])
        if wanted != found:
            raise FinetraceError(
                f"{adapter.name} is for another base: {layer} has width {wanted}, the adapter {found}",
                _fit_hint(adapter),
            )
