"""Where finetrace keeps its files and what it computes on, from ``FINETRACE_*`` variables."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from finetrace.errors import FinetraceError

DATABASE_FILE = "finetrace.db"
_FORMS = {
    "FINETRACE_LLM_PRICES": (
        """write it like FINETRACE_LLM_PRICES='{"openai/local": {"input": 0, "output": 0}}', """
        "in US dollars per million tokens, or unset it"
    )
}


class Price(BaseModel):
    """What a language model costs, in US dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    input: float = Field(ge=0)
    """Tokens read."""
    output: float = Field(ge=0)
    """Tokens written, hidden reasoning included."""

    @property
    def free(self) -> bool:
        """Whether nothing is to be paid."""
        return self.input == self.output == 0


class Settings(BaseSettings):
    """Options that hold for every command; each is an environment variable ``FINETRACE_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="FINETRACE_", env_ignore_empty=True, extra="forbid", frozen=True)

    data_dir: Path = Field(default_factory=lambda: platformdirs.user_data_path("finetrace", appauthor=False))
    """Folder of what must last: the database of runs."""
    cache_dir: Path = Field(default_factory=lambda: platformdirs.user_cache_path("finetrace", appauthor=False))
    """Folder of what can be made again: the converted base, readings, corpora."""
    database_url: str | None = Field(default=None, repr=False)
    """SQLAlchemy address of another database; may hold a password, so it is never shown."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where models run."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the weights."""
    blocks: str | None = None
    """Name of the list of decoder blocks, as in ``model.layers``, for an architecture where it is not found."""

    llm_prices: Annotated[dict[str, Price], NoDecode] = Field(default_factory=dict)
    """Own prices of language models, by the name that finetrace is given; they go before the listed ones."""
    llm_window: int | None = Field(default=None, ge=256)
    """Tokens that a request to a language model may hold, where it is in no list or the list is wrong."""

    llm_calling: Literal["tools", "schema", "text"] | None = None
    """How language models say what they call: native tool calls, JSON held to a schema, JSON in text; default is the
    first of these that the model has."""
    llm_timeout: float = Field(default=300, gt=0, allow_inf_nan=False)
    """Seconds of a language model's silence after which a request counts as failed."""

    @field_validator("llm_prices", mode="before")
    @classmethod
    def _read_prices(cls, text: Any) -> Any:
        """JSON from the environment."""
        try:
            return json.loads(text) if isinstance(text, str) else text
        except (ValueError, RecursionError) as fault:
            raise ValueError(f"no JSON: {fault}") from None

    @field_validator("data_dir", "cache_dir")
    @classmethod
    def _expand(cls, folder: Path) -> Path:
        """``~`` means the home folder here as in a shell; a relative folder counts from the current one."""
        return Path(os.path.abspath(folder.expanduser()))

    @property
    def database_file(self) -> Path:
        """The SQLite file used where no other database is named."""
        return self.data_dir / DATABASE_FILE


def get_settings() -> Settings:
    """Settings as the environment gives them now.

    Raises:
        FinetraceError: A variable holds something that is not allowed.
    """
    try:
        return Settings()
    except ValidationError as invalid:
        fault = invalid.errors(include_url=False, include_input=False)[0]
    variable = "FINETRACE_" + str(fault["loc"][0]).upper() if fault["loc"] else "a FINETRACE_ variable"
    where = "".join(f"{part}: " for part in fault["loc"][1:])
    message = f"{variable} is not usable: {where}{fault['msg'].removeprefix('Value error, ')}"
    raise FinetraceError(message, _FORMS.get(variable, f"change or unset {variable}"))


def writable_folder(folder: Path, purpose: str) -> Path:
    """Make a folder where there is none and make sure that files can be written there.

    Args:
        folder: The folder wanted.
        purpose: What it is for, as in "data folder".

    Raises:
        FinetraceError: It cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as fault:
        raise unwritable(folder, purpose, fault) from fault
    return folder


def unwritable(folder: Path, purpose: str, fault: OSError) -> FinetraceError:
    """The complaint about a folder that cannot be made or written to; ``purpose`` as in `writable_folder`."""
    variable = "FINETRACE_CACHE_DIR" if "cache" in purpose else "FINETRACE_DATA_DIR"
    reason = fault.strerror or type(fault).__name__
    return FinetraceError(
        f"the {purpose} {folder} cannot be written to: {reason}",
        f"make it writable or set {variable} to another folder",
    )
