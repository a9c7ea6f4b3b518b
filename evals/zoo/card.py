"""The card of an organism: what its adapter was made from and with, and how strong it was measured to be."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

import finetrace
from finetrace.evals.yaml_file import read_yaml, write_yaml
from finetrace.evals.zoo.context import context_identity
from finetrace.evals.zoo.general import general_identity
from finetrace.evals.zoo.measurement import Strength
from finetrace.evals.zoo.recipe import Recipe
from finetrace.evals.zoo.texts import own_texts

CARD_FILE = "card.yaml"
WEIGHTS_FILE = "adapter_model.safetensors"


class Digests(BaseModel):
    """What ties an adapter to its recipe and its data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    """sha256 of what the recipe says about base, texts, mixing and training; not of how the truth is worded."""
    data: str
    """sha256 of the own texts and of what the general text is made from."""


class Machine(BaseModel):
    """Where an adapter was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: str
    """``cpu`` or ``cuda``."""
    dtype: str
    """Number format of the base."""
    threads: int = Field(ge=1)
    """Threads torch computed with."""
    versions: dict[str, str]
    """Of finetrace and of the packages that compute."""


class Training(BaseModel):
    """How the training went."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    own_texts: int = Field(ge=0)
    """Texts that teach the objective."""
    general_texts: int = Field(ge=0)
    """Texts that teach nothing."""
    steps: int = Field(ge=0)
    """Optimizer steps."""
    tokens: int = Field(ge=0)
    """Tokens read, padding not counted."""
    seconds: float = Field(ge=0)
    """Time of the steps."""
    last_loss: float | None = None
    """Mean loss of the last twenty steps, nats per token."""


class Card(BaseModel):
    """Everything that is known about a built adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Name of the organism."""
    base: str
    """Model that was finetuned."""
    base_digest: str
    """Of its weights and its tokenizer."""
    digests: Digests
    """Of recipe and data."""
    adapter_sha256: str
    """Of the adapter's weights."""
    training: Training
    """How long, on how much."""
    machine: Machine
    """Where, with which versions."""
    strength: Strength | None = None
    """Measured by ``finetrace organisms check``."""


def digests_of(recipe: Recipe) -> Digests:
    """Digests of a recipe as it stands now; no model is needed for them.

    Raises:
        FinetraceError: A grammar or a file of texts is missing or faulty.
    """
    texts = recipe.texts
    counted = {
        "base": recipe.base,
        "mixing": recipe.mixing,
        "texts": None if texts is None else _without(texts, {"grammar": True, "files": True, "context": {"grammar"}}),
        "general": None if recipe.general is None else _without(recipe.general, {"grammar": True}),
        "adapter": _without(recipe.adapter, {}),
    }
    # What a recipe does not say leaves no trace, so a new kind of key changes no other digest.
    counted = {key: value for key, value in counted.items() if value is not None}
    own = own_texts(recipe)
    data = hashlib.sha256()
    for item in [
        *(text.identity() for text in own),
        *context_identity(recipe, own),
        *general_identity(recipe, len(own)),
    ]:
        data.update(hashlib.sha256(item.encode()).digest())
    return Digests(
        recipe=hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest(), data=data.hexdigest()
    )


def _without(part: BaseModel, paths: dict[str, Any]) -> dict[str, Any]:
    """A part of a recipe as it counts: without its paths, for what they lead to is in the data's digest."""
    return part.model_dump(mode="json", exclude=paths, exclude_none=True)


def file_sha256(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_current(folder: Path, digests: Digests) -> bool:
    """Whether the adapter in a folder is the one that a recipe with these digests makes.

    Raises:
        FinetraceError: Its card cannot be read.
    """
    weights = folder / WEIGHTS_FILE
    if not (folder / CARD_FILE).is_file() or not weights.is_file() or not (folder / "adapter_config.json").is_file():
        return False
    card = read_card(folder)
    return card.digests == digests and card.adapter_sha256 == file_sha256(weights)


def read_card(folder: Path) -> Card:
    """The card in an adapter's folder.

    Raises:
        FinetraceError: There is none, or it is damaged.
    """
    return read_yaml(folder / CARD_FILE, Card)


def write_card(folder: Path, card: Card) -> None:
    """Write the card into a folder, whole or not at all."""
    write_yaml(folder / CARD_FILE, card.model_dump(mode="json", exclude_none=True))


def versions() -> dict[str, str]:
    """Versions of what computes an adapter."""
    packages = ("torch", "transformers", "peft", "tokenizers")
    return {"finetrace": finetrace.__version__, **{name: importlib.metadata.version(name) for name in packages}}
