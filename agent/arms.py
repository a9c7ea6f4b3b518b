"""Arms: what an investigator has at hand. The difference between two arms is the tools', never the investigator's."""

from __future__ import annotations

from dataclasses import dataclass

from finetrace.errors import FinetraceError, closest
from finetrace.models.pair import Capability

_ASK = frozenset({Capability.GENERATE, Capability.CHAT})
_COMPARE = _ASK | {Capability.REFERENCE, Capability.LOGPROBS, Capability.COMPLETIONS}
_INSIDE = _ASK | {Capability.REFERENCE, Capability.LOGPROBS, Capability.ACTIVATIONS}
_INSIDE_INSTRUMENTS = ("activation_difference", "steer", "causal_check")


@dataclass(frozen=True)
class Arm:
    """A set of instruments, and what they may use of a pair."""

    name: str
    instruments: tuple[str, ...]
    allowed: frozenset[Capability]
    """Everything else is withheld, whatever the pair could do."""
    interactions: int
    """Organism interactions by default."""


ARMS = {
    arm.name: arm
    for arm in (
        Arm("blackbox", ("chat", "complete"), _ASK, 50),
        Arm("perplexity", ("chat", "complete", "perplexity_gap"), _COMPARE, 50),
        Arm("activation", ("chat", "complete", *_INSIDE_INSTRUMENTS), _INSIDE, 50),
        Arm("full", ("chat", "complete", "perplexity_gap", *_INSIDE_INSTRUMENTS), _COMPARE | _INSIDE, 50),
    )
}


def find_arm(name: str) -> Arm:
    """The arm of that name.

    Raises:
        FinetraceError: There is none; the hint offers the closest names.
    """
    if name not in ARMS:
        raise FinetraceError(f"no arm '{name}'", closest(name, ARMS))
    return ARMS[name]
