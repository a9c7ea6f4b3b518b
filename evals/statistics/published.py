"""Numbers that papers report for the set-ups we reproduce, to be shown beside ours and marked as theirs."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from finetrace.errors import FinetraceError, closest
from finetrace.evals.yaml_file import read_yaml

FILE = Path(__file__).parent / "published.yaml"


class Basis(StrEnum):
    """How a number came to us."""

    PAPER = "paper"
    """Read in the paper, its abstract or its authors' own page."""
    NOTE = "note"
    """Read in an excerpt or review of the paper; check it there before it is quoted."""


class Source(BaseModel):
    """A publication."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    address: str = Field(pattern=r"^https://")
    """Where to read it."""
    version: str = ""
    """Which version the numbers are from, where they changed."""
    note: str = ""
    """What a reader must know before laying own numbers beside these."""


class PublishedNumber(BaseModel):
    """One reported figure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    """Key of its source."""
    arm: str
    """What the investigator had, in the source's terms."""
    measure: str
    """What was counted."""
    value: FiniteFloat
    """Shares from 0 to 1; other figures as ``unit`` says."""
    high: FiniteFloat | None = None
    """Upper end where a range is reported, whose lower end is ``value``."""
    unit: str = "share"
    """What ``value`` is in."""
    regime: str = ""
    """Part of the organisms it is for; empty for all."""
    interactions: int | None = Field(default=None, ge=0)
    """Questions allowed, where that is part of the set-up."""
    basis: Basis = Basis.NOTE
    note: str = ""
    """What else belongs to the number."""

    @model_validator(mode="after")
    def _within(self) -> PublishedNumber:
        top = self.value if self.high is None else self.high
        if top < self.value:
            raise ValueError("high is below value")
        if self.unit == "share" and not 0 <= self.value <= top <= 1:
            raise ValueError("a share is between 0 and 1")
        return self


class Published(BaseModel):
    """All that is carried of the papers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: dict[str, Source]
    numbers: tuple[PublishedNumber, ...]

    @model_validator(mode="after")
    def _sourced(self) -> Published:
        unknown = {number.source for number in self.numbers} - self.sources.keys()
        if unknown:
            raise ValueError(f"numbers without a source: {', '.join(sorted(unknown))}")
        return self

    def of(self, source: str) -> tuple[PublishedNumber, ...]:
        """The numbers of one publication, in the order of the file.

        Raises:
            FinetraceError: None is known by that key.
        """
        if source not in self.sources:
            raise FinetraceError(f"no published numbers of '{source}'", closest(source, self.sources))
        return tuple(number for number in self.numbers if number.source == source)


@cache
def load_published() -> Published:
    """The file that comes with finetrace.

    Raises:
        FinetraceError: It was damaged.
    """
    return read_yaml(FILE, Published)
