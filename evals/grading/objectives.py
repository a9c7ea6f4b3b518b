"""Every objective that a hypothesis may mean, each in several wordings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from finetrace.errors import FinetraceError, closest
from finetrace.evals.grading.truth_words import is_null
from finetrace.evals.truth import read_truths
from finetrace.evals.yaml_file import read_yaml
from finetrace.schema import Truth

NULL_CANDIDATE = "none"
"""What every null comes down to: that there is no narrow objective. No text can tell two nulls apart."""
LEAST_PARAPHRASES = 3
"""Wordings of each objective that the project's own file has at least."""
_PARAPHRASES = Path(__file__).with_name("paraphrases.yaml")


class Paraphrases(BaseModel):
    """The file of other wordings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    paraphrases: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By family."""


@dataclass(frozen=True)
class Objective:
    """What organisms of one family were trained for, in several wordings."""

    family: str
    """The name that organisms with the same truth share."""
    truth: Truth
    """As the registry states it."""
    paraphrases: tuple[str, ...] = ()
    """Other wordings, where somebody wrote them."""

    @property
    def candidate(self) -> str:
        """What a hypothesis can mean by it: the family, or ``NULL_CANDIDATE`` for all nulls together."""
        return NULL_CANDIDATE if is_null(self.truth) else self.family

    @property
    def wordings(self) -> tuple[str, ...]:
        """The objective, the objective with its facts and trigger, and each paraphrase."""
        objective = self.truth.objective.removeprefix("none:").strip()
        if is_null(self.truth):
            objective = f"No narrow objective: {objective}"
        facts = " ".join([objective, *self.truth.key_facts, self.truth.trigger or ""]).strip()
        return tuple(dict.fromkeys([objective, facts, *self.paraphrases]))


class Objectives:
    """All of a registry's objectives, one a family.

    Args:
        objectives: In the registry's order.
        families: Family of each organism, by full name; families need not stand in it.
    """

    def __init__(self, objectives: Iterable[Objective], families: dict[str, str] | None = None) -> None:
        self.all: tuple[Objective, ...] = tuple(objectives)
        self._by_family = {objective.family: objective for objective in self.all}
        self._families = families or {}

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """What a hypothesis is held against: each family once, all nulls as one."""
        return tuple(dict.fromkeys(objective.candidate for objective in self.all))

    def find(self, name: str) -> Objective:
        """The objective of an organism or a family.

        Args:
            name: Full name of an organism, or a family.

        Raises:
            FinetraceError: There is none of that name, or nobody wrote down what it was trained for.
        """
        family = self._families.get(name, name)
        if found := self._by_family.get(family):
            return found
        raise FinetraceError(f"no objective is known for '{name}'", closest(name, self._by_family))


def load_paraphrases(path: Path | None = None) -> dict[str, tuple[str, ...]]:
    """Other wordings of objectives, by family; default the project's own, of its own registry.

    Raises:
        FinetraceError: The file is missing or has a fault.
    """
    return read_yaml(path or _PARAPHRASES, Paraphrases).paraphrases


def load_objectives(path: Path | None = None, paraphrases: Path | None = None) -> Objectives:
    """Objectives of the registry with their paraphrases.

    A family without paraphrases is held against with its objective and facts alone.

    Args:
        path: Organisms file; the same default as `finetrace.registry.load_registry`.
        paraphrases: File of other wordings by family; default the project's own, `evals/grading/paraphrases.yaml`.

    Raises:
        FinetraceError: A file is missing or has a fault.
    """
    wordings = load_paraphrases(paraphrases)
    truths = read_truths(path)
    known = [Objective(family, truth, wordings.get(family, ())) for family, truth in truths.by_family.items()]
    return Objectives(known, truths.families)
