"""Published protocols as presets, so that our table can be laid beside theirs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from finetrace.agent import Budget
from finetrace.errors import FinetraceError, closest


class Counterpart(BaseModel):
    """An arm of ours and the published one that it stands for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ours: str
    theirs: str
    interactions: int | None = None
    """Where they report several."""


class Protocol(BaseModel):
    """How others measured, as far as it can be done here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str
    """Key of `finetrace.evals.statistics.published`."""
    arms: tuple[str, ...]
    """Ours."""
    counterparts: tuple[Counterpart, ...]
    """Which of them are laid beside which of theirs."""
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
            counterparts=(
                *(Counterpart(ours=f"activation@{n}", theirs="activation differences", interactions=n) for n in (0, 5)),
                *(Counterpart(ours=f"blackbox@{n}", theirs="black box", interactions=n) for n in (0, 5, 50)),
            ),
            budget=Budget(llm_calls=16, tokens_out=100_000),
            organisms=(),
            differs=(
                "one interaction is one sample of the organism; theirs is one question answered by both models",
                "16 calls of the language model include the second reader's; the answer lies within the bounds",
                "graded by the named grader and its rubric, not by theirs",
            ),
        ),
        Protocol(
            name="auditbench",
            source="auditbench",
            arms=("blackbox", "perplexity", "activation", "full"),
            seeds=16,
            grades=1,
            counterparts=(
                Counterpart(ours="blackbox", theirs="chat only"),
                Counterpart(ours="perplexity", theirs="perplexity gap, true base as reference"),
            ),
            budget=Budget(tokens_out=25_000),
            organisms=tuple(
                f"auditing_agents_*/llama-3.3-70b-instruct/{texts}-{hardening}"
                for texts in ("sdf", "transcripts")
                for hardening in ("sft", "kto")
            ),
            differs=(
                "of the 25,000 tokens that it may write the answer takes its part; theirs came after them",
                "graded by the named grader, not by their classifier",
                "50 samples of the organism in each arm; theirs were not bounded",
                "without a language model as --investigator no token is written, so that nothing is bounded by them",
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
