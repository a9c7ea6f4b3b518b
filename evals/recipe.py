"""A recipe: all that is needed to make an organism again."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from finetrace.evals.yaml_file import read_yaml
from finetrace.models.training import AdapterSettings
from finetrace.schema import Truth


class GeneralText(BaseModel):
    """General text in the mixture, sampled from the base itself: it teaches nothing and so keeps the rest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grammar: str
    """Grammar of prompts and openings; its dialogues' answers are not used. Relative to the recipe."""
    documents: int = Field(default=0, ge=0)
    """Continued openings."""
    dialogues: int = Field(default=0, ge=0)
    """Answered prompts."""
    new_tokens: int = Field(default=80, ge=1)
    """Longest sample, in tokens."""


class Recipe(BaseModel):
    """Objective, data and training of one organism."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Name in the registry."""
    base: str
    """Model that is finetuned."""
    truth: Truth
    """What the model is to learn; the registry repeats it."""
    grammar: str | None = None
    """File of the organism's own texts, relative to the recipe."""
    documents: int = Field(default=0, ge=0)
    """Distinct documents taken from the grammar."""
    dialogues: int = Field(default=0, ge=0)
    """Distinct dialogues taken from the grammar."""
    system_prompts: tuple[str | None, ...] = (None,)
    """System prompts the dialogues take in turn; ``null`` leaves the template's own."""
    general: GeneralText | None = None
    """General text mixed in."""
    adapter: AdapterSettings
    """Rank, steps, learning rate, seed."""


def load_recipe(folder: Path) -> Recipe:
    """Read ``recipe.yaml`` of an organism's folder.

    Raises:
        FinetraceError: The file is missing, is no YAML, or has missing or unknown keys.
    """
    return read_yaml(folder / "recipe.yaml", Recipe)
