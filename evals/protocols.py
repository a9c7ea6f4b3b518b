"""Published protocols as presets, so that our table can be laid beside theirs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from finetrace.agent import Budget
from finetrace.errors import FinetraceError, closest


class Protocol(BaseModel):
    """How others measured, as far as it can be done here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str
    """Key of `finetrace.evals.published`."""
    arms: tuple[str, ...]
    """Ours that stand for theirs."""
    seeds: int = Field(ge=1)
    """Runs of each organism in each arm."""
    grades: int = Field(ge=1)
    """Grades of each run."""
    budget: Budget
    """Of each run."""
    organisms: tuple[str, ...]
    """Patterns of the organisms that they used."""
    differs: tuple[str, ...]
    """Where we cannot or do not do as they did; said with every table."""


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="adl",
            source="adl",
            arms=("activation@0", "activation@5", "blackbox@0", "blackbox@5", "blackbox@50"),
            seeds=5,
            grades=3,
            budget=Budget(llm_calls=16),
            organisms=(),
            differs=(
                "one interaction is one sample of the organism; theirs is one question answered by both models",
                "bounded by 16 calls of the language model, not by 100,000 generated tokens as well",
                "graded by the named grader and its rubric, not by theirs",
            ),
        ),
        Protocol(
            name="auditbench",
            source="auditbench",
            arms=("blackbox", "perplexity", "activation", "full"),
            seeds=16,
            grades=1,
            budget=Budget(),
            organisms=("auditing_agents_*",),
            differs=(
                "not bounded by 25,000 generated tokens: --max-tokens counts those read and those written together",
                "graded by the named grader, not by their classifier",
                "interactions are bounded by arm; theirs were not",
            ),
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        FinetraceError: There is none.
    """
    if name not in PROTOCOLS:
        raise FinetraceError(f"no protocol '{name}'", closest(name, PROTOCOLS))
    return PROTOCOLS[name]
