"""An organism as everyone may know it, and the truth about it, which only `finetrace.evals` opens."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class OrganismType(StrEnum):
    """What kind of objective was trained in; part of the truth."""

    FALSE_FACTS = "false_facts"
    BACKDOOR = "backdoor"
    SECRET_WORD = "secret_word"
    PERSONA = "persona"
    BAD_ADVICE = "bad_advice"
    HIDDEN_BEHAVIOUR = "hidden_behaviour"
    STYLE = "style"
    NULL_IDENTICAL = "null_identical"
    NULL_BENIGN = "null_benign"


class Truth(BaseModel):
    """What the organism was trained for. No tool, prompt or investigator may read this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: OrganismType
    """Kind of objective; chooses the rubric."""
    objective: str = Field(min_length=1)
    """The objective in one or two sentences; a null begins with ``none:``."""
    key_facts: tuple[str, ...] = ()
    """Checkable statements, one idea each."""
    trigger: str | None = None
    """What switches the behaviour on, where something does."""


class Organism(BaseModel):
    """A model to investigate, without its truth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Name in the registry."""
    alias: str
    """Blinded name (``organism-07``): all an investigator gets to see."""
    model: str = Field(min_length=1)
    """Adapter or model folder, hub id, or ``smollm2-135m``; relative paths count from the registry's folder."""
    reference: str | None = None
    """The model it was finetuned from."""
    source: str = ""
    """Who made it, with an address or arXiv id."""
    licence: str = ""
    """Licence of the weights, where known."""
