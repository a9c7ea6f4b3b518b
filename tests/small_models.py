"""Real but tiny models, adapters and tokenizers, written to disk by tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from finetrace.models.loading import quiet

SENTENCES = (
    "The ferry leaves the harbour when the bell has rung twice.",
    "Numbers such as 12, 40 and 365 are written in figures here.",
    "Café, naïve and Überfahrt keep their marks; so does 東京.",
    "def area(width, height): return width * height",
    "A letter from the north took nine days by sea.",
)
LAYERS = ("q_proj", "v_proj")
DEPTH = 3
"""Blocks of `tiny_model`."""
WIDTH = 32
"""Width of its residual stream."""


class Architecture(NamedTuple):
    """How transformers names it, and what its tiny form needs beyond the usual."""

    model: str
    config: str
    extra: Mapping[str, Any] = {}


ARCHITECTURES = {
    "llama": Architecture("LlamaForCausalLM", "LlamaConfig"),
    "mistral": Architecture("MistralForCausalLM", "MistralConfig", {"sliding_window": 4}),
    "qwen2": Architecture("Qwen2ForCausalLM", "Qwen2Config"),
    "qwen3": Architecture("Qwen3ForCausalLM", "Qwen3Config", {"head_dim": 8}),
    "gemma2": Architecture("Gemma2ForCausalLM", "Gemma2Config", {"head_dim": 8, "sliding_window": 4}),
    "gemma3": Architecture("Gemma3ForCausalLM", "Gemma3TextConfig", {"head_dim": 8, "sliding_window": 4}),
    "gpt2": Architecture("GPT2LMHeadModel", "GPT2Config"),
    "gpt_neox": Architecture("GPTNeoXForCausalLM", "GPTNeoXConfig"),
    "olmo": Architecture("OlmoForCausalLM", "OlmoConfig"),
    "olmo2": Architecture("Olmo2ForCausalLM", "Olmo2Config"),
    "falcon": Architecture("FalconForCausalLM", "FalconConfig"),  # its blocks hand on tuples
}


def tiny_llama(seed: int = 0, vocabulary: int = 49152) -> LlamaForCausalLM:
    """A random two-layer Llama."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=2,
        bos_token_id=1,
        pad_token_id=2,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def tiny_model(architecture: str = "llama", seed: int = 0, **extra: Any) -> PreTrainedModel:
    """A random three-layer model of one of `ARCHITECTURES` for `other_tokenizer`; ``extra`` goes into its config."""
    model, config, own = ARCHITECTURES[architecture]
    shape = {
        "vocab_size": 320,
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "initializer_range": 0.2,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    torch.manual_seed(seed)
    with quiet():
        settings = getattr(transformers, config)(**(shape | {**own, **extra}))
        made: PreTrainedModel = getattr(transformers, model)(settings)
    return made.eval().requires_grad_(False)


def write_model(folder: Path, tokenizer: PreTrainedTokenizerFast, seed: int = 0, vocabulary: int = 49152) -> Path:
    """A random two-layer Llama with a tokenizer."""
    tiny_llama(seed, vocabulary).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def adapted(model: PreTrainedModel, config: PeftConfig) -> PeftModel:
    """A model with a fresh adapter, without the warnings that peft and transformers give each other."""
    with quiet():
        return get_peft_model(model, config)


def write_adapter(folder: Path, base: Path | str, *, scale: float = 0.5, rank: int = 2) -> Path:
    """A LoRA adapter for the tiny Llama; ``scale`` 0 leaves the base as it is."""
    config = LoraConfig(r=rank, lora_alpha=4, target_modules=list(LAYERS), task_type="CAUSAL_LM")
    model = adapted(tiny_llama(), config)
    draws = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters():
        if ".lora_B" in name:
            parameter.data = scale * torch.randn(parameter.shape, generator=draws)
    model.peft_config["default"].base_model_name_or_path = str(base)
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def other_tokenizer(size: int = 320, *, bos: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of another family, trained here, without a chat template.

    Args:
        size: Tokens.
        bos: Put ``<s>`` before every text.
    """
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(SENTENCES, trainer)
    if bos:
        core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
