"""What tests share: folders of their own, a tiny random model, the embedded base."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_models import tiny_llama
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

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
