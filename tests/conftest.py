"""What tests share: folders of their own, a tiny random model, the embedded base."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from finetrace.models.embedded import converted_path, embedded_base
from finetrace.models.loading import LoadedModel, load_model
from finetrace.models.source import find_model


@pytest.fixture(scope="session")
def base_folder() -> Path:
    """The embedded base, converted."""
    return embedded_base()


@pytest.fixture
def own_folders(tmp_path: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data and cache folders of this test's own; only the converted base is shared."""
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FINETRACE_CACHE_DIR", str(tmp_path / "cache"))
    converted_path().parent.mkdir(parents=True)
    converted_path().symlink_to(base_folder)
    return tmp_path


@pytest.fixture(scope="session")
def tokenizer(base_folder: Path) -> PreTrainedTokenizerFast:
    """The embedded base's tokenizer."""
    loaded: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(base_folder)
    return loaded


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


@pytest.fixture
def tiny() -> LlamaForCausalLM:
    """A random two-layer Llama of this test's own."""
    return tiny_llama()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """The same on disk, with the embedded base's tokenizer."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    tiny_llama().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def base_float32(base_folder: Path) -> Iterator[LoadedModel]:
    """The embedded base in float32, on this package's attention."""
    yield load_model(find_model(str(base_folder)), "cpu", torch.float32)
