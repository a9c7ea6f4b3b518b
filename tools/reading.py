"""What an instrument hands back: typed data, a bounded rendering for an investigator, and the texts one may quote."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict


class Reading(BaseModel):
    """The answer of an instrument."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instrument: str
    """Name of the instrument."""

    @abstractmethod
    def render(self, limit: int = 6000) -> str:
        """Text for an investigator, at most about ``limit`` characters; says what was cut."""

    @abstractmethod
    def quotable(self) -> Iterator[str]:
        """Every model-written text in the reading, whole: evidence is looked up here."""


def bounded(lines: Sequence[str], limit: int) -> str:
    """The first lines that fit into ``limit`` characters, and how many were cut."""
    kept: list[str] = []
    used = 0
    for line in lines:
        used += len(line) + 1
        if used > limit and kept:
            kept.append(f"… {len(lines) - len(kept)} more lines cut; ask for fewer, or for a search")
            break
        kept.append(line[:limit])
    return "\n".join(kept)


def one_line(text: str, limit: int = 300) -> str:
    """A text on one line, for a rendering: organism text is data, and its line breaks must not form lines of ours."""
    folded = " ".join(text.split())
    return folded if len(folded) <= limit else f"{folded[:limit]}… (+{len(folded) - limit} characters)"
