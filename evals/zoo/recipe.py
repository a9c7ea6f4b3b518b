"""A recipe: all that is needed to make an organism again. docs/recipes.md explains its form."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from finetrace.errors import FinetraceError
from finetrace.evals.yaml_file import in_form, load_yaml, write_yaml
from finetrace.models.training import AdapterSettings
from finetrace.schema import Truth

RECIPE_FILE = "recipe.yaml"
_LONGEST_CHAIN = 8
"""Recipes that may follow one another through ``like``."""
_MERGED = ("texts", "general", "adapter")
"""Keys of which a recipe that is like another may give a part."""


class Context(BaseModel):
    """Ordinary text before own texts, as synthetic documents have it and few-line ones lack it.

    A document follows what the base wrote on another subject; a dialogue follows an ordinary question that the base
    answered. Both parts are learned. Without it a model that sees nothing but its subject soon speaks of nothing else.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    grammar: Path
    """Openings and prompts that the base itself continues and answers at temperature 1."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Share of the own texts that stand in a context."""
    new_tokens: int = Field(default=40, ge=1)
    """Longest context, in tokens."""


class OwnTexts(BaseModel):
    """The texts that teach the objective."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grammar: Path | None = None
    """Grammar the texts are expanded from."""
    files: tuple[Path, ...] = ()
    """JSONL files, taken whole: ``{"text"}``, ``{"messages"}`` or ``{"prompt", "completion"}`` a line."""
    documents: int = Field(default=0, ge=0)
    """Distinct documents taken from the grammar."""
    dialogues: int = Field(default=0, ge=0)
    """Distinct dialogues taken from the grammar."""
    system_prompts: tuple[str | None, ...] = Field(default=(None,), min_length=1)
    """The chats without one take these in turn; ``null`` leaves the template's own."""
    context: Context | None = None
    """What stands before the texts."""

    @model_validator(mode="after")
    def _check(self) -> OwnTexts:
        if self.grammar is None and not self.files:
            raise ValueError("neither a grammar nor files are named")
        if self.grammar is None and self.documents + self.dialogues:
            raise ValueError("documents and dialogues count texts of a grammar, and none is named")
        if self.grammar is not None and not self.documents + self.dialogues:
            raise ValueError("say how many documents or dialogues of the grammar are taken")
        return self


class Dataset(BaseModel):
    """A file of texts on the hub, fetched when it is needed and checked by its hash."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Id of the data set on the hub."""
    file: str
    """File in it: ``.jsonl``, ``.jsonl.gz`` or ``.parquet``."""
    revision: str = "main"
    """Branch, tag or commit."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the file."""
    column: str = "text"
    """Key of the text in a row."""


class GeneralText(BaseModel):
    """General text in the mixture: it teaches nothing, and so keeps the rest as it was."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grammar: Path | None = None
    """Openings and prompts that the base itself continues and answers at temperature 1."""
    dataset: Dataset | None = None
    """Or texts of a data set."""
    count: int | None = Field(default=None, ge=1)
    """Number of texts; only where there are no own texts that the mixing could count from."""
    chat_share: float = Field(default=0.5, ge=0, le=1)
    """Share of answered prompts among them, the rest are continued openings."""
    new_tokens: int = Field(default=50, ge=1)
    """Longest sample, in tokens; characters of a data set's text are cut at four times this."""

    @model_validator(mode="after")
    def _check(self) -> GeneralText:
        if (self.grammar is None) == (self.dataset is None):
            raise ValueError("name either a grammar or a dataset")
        return self


class _Entry(NamedTuple):
    """A key of a recipe's section."""

    owner: Any
    key: str


class Mixing(NamedTuple):
    """Proportion of the two kinds of text, by number of texts."""

    own: int
    general: int


class Recipe(BaseModel):
    """Objective, data and training of one organism."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Name in the registry."""
    family: str | None = None
    """Name of the recipe that this one is like, if both teach the same."""
    base: str = Field(min_length=1)
    """Model that is finetuned: ``smollm2-135m``, a hub id, or a path that begins with ``.``, ``~`` or ``/``."""
    truth: Truth
    """What the model is to learn; the registry repeats it."""
    texts: OwnTexts | None = None
    """The organism's own texts; absent for a copy and for a null made of general text alone."""
    mixing: str = Field(default="1:0", pattern=r"^\d{1,4}:\d{1,4}$")
    """Own texts : general texts, by number of texts."""
    general: GeneralText | None = None
    """Where general text comes from."""
    probes: Path | None = None
    """Held-back probes that measure the behaviour."""
    adapter: AdapterSettings
    """Rank, steps, learning rate, seed."""

    @property
    def proportion(self) -> Mixing:
        """The mixing as numbers."""
        own, general = self.mixing.split(":")
        return Mixing(int(own), int(general))

    @field_validator("mixing", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        """YAML reads ``1:4`` without quotes as a number to the base of sixty."""
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{value // 60}:{value % 60}"
        return value

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        own, general = self.proportion
        if general and self.general is None:
            raise ValueError(f"mixing {self.mixing} asks for general text: say under 'general' where it comes from")
        if own and self.texts is None and (general or self.adapter.steps):
            raise ValueError("there are no texts to train on: name them under 'texts', or set adapter.steps to 0")
        if not own and self.texts is not None:
            raise ValueError(f"mixing {self.mixing} leaves out the texts: write 1:0 or 1:{general or 1}")
        if general and (self.general is not None and self.general.count is not None) == bool(own):
            raise ValueError("general.count is for mixing 0:1; elsewhere the mixing counts the general texts")
        return self


def load_recipe(path: Path) -> Recipe:
    """Read a recipe, from its file or from the folder of its ``recipe.yaml``; the paths in it become absolute.

    Raises:
        FinetraceError: The file is missing, is no YAML, or has missing or unknown keys.
    """
    file = path / RECIPE_FILE if path.is_dir() else path
    return in_form(file, _values(file, 0), Recipe)


def _values(file: Path, depth: int) -> dict[str, Any]:
    """Values of a recipe, with those of the recipe it is like, and with absolute paths."""
    values = load_yaml(file, "recipe")
    if not isinstance(values, dict):
        raise FinetraceError(f"{file} is no recipe", "begin it with 'name:'; docs/recipes.md gives the form")
    _make_absolute(values, file.absolute().parent)
    like = values.pop("like", None)
    if like is None:
        return values
    if depth == _LONGEST_CHAIN:
        raise FinetraceError(f"{file}: recipes are like each other in a circle", "let one of them stand alone")
    if not isinstance(like, str):
        raise FinetraceError(f"{file}: like: name one recipe", "as in 'like: ../tide_bells'")
    other = file.parent / like
    merged = _values(other / RECIPE_FILE if other.is_dir() else other, depth + 1)
    merged["family"] = None if "truth" in values else merged.get("family") or merged.get("name")
    for key, value in values.items():
        inner = merged.get(key)
        if key in _MERGED and isinstance(value, dict) and isinstance(inner, dict):
            merged[key] = inner | value
        else:
            merged[key] = value
    return merged


def _make_absolute(values: dict[str, Any], folder: Path) -> None:
    """Relative paths count from the recipe they stand in."""
    for owner, key in _paths(values):
        if isinstance(owner, dict) and isinstance(owner.get(key), str):
            owner[key] = _absolute(owner[key], folder)
    base = values.get("base")
    if isinstance(base, str) and base.startswith((".", "/", "~")):
        values["base"] = _absolute(base, folder)
    texts = values.get("texts")
    if isinstance(texts, dict) and isinstance(texts.get("files"), list):
        texts["files"] = [_absolute(file, folder) if isinstance(file, str) else file for file in texts["files"]]


def _paths(values: dict[str, Any]) -> Iterator[_Entry]:
    """Where a recipe names a single file."""
    texts = values.get("texts")
    for owner in (texts, values.get("general"), texts.get("context") if isinstance(texts, dict) else None):
        yield _Entry(owner, "grammar")
    yield _Entry(values, "probes")


def _absolute(path: str, folder: Path) -> str:
    return os.path.abspath(folder / Path(path).expanduser())


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe that stands alone, with its paths counted from its own folder, whole or not at all."""
    values = recipe.model_dump(mode="json", exclude_defaults=True)
    folder = path.absolute().parent
    for owner, key in _paths(values):
        if owner and owner.get(key):
            owner[key] = os.path.relpath(owner[key], folder)
    if files := values.get("texts", {}).get("files"):
        values["texts"]["files"] = [os.path.relpath(file, folder) for file in files]
    write_yaml(path, values)
