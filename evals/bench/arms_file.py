"""Arms of one's own: sets of instruments by name, from a YAML file.

arms:
questions_and_gap:
instruments: [chat, perplexity_gap]
interactions: 20
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from finetrace.agent.arms import Arm, make_arm
from finetrace.evals.yaml_file import read_yaml


class ArmEntry(BaseModel):
    """One arm of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instruments: tuple[str, ...] = Field(min_length=1)
    """Names of instruments."""
    interactions: int = Field(default=50, ge=0)
    """Organism interactions by default."""


class ArmsFile(BaseModel):
    """A file of arms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    arms: dict[str, ArmEntry] = Field(min_length=1)
    """By name."""


def read_arms(path: Path) -> dict[str, Arm]:
    """The arms of a file, by name.

    Raises:
        FinetraceError: The file cannot be read, or an arm of it names what does not exist.
    """
    read = read_yaml(path, ArmsFile)
    return {name: make_arm(name, entry.instruments, entry.interactions) for name, entry in read.arms.items()}
