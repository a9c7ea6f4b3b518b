"""Arms: what an investigator has at hand. The difference between two arms is the tools', never the investigator's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from finetrace.errors import FinetraceError, closest
from finetrace.models.pair import Capability
from finetrace.tools import INSTRUMENTS

_ASK = frozenset({Capability.GENERATE, Capability.CHAT})
_COMPARE = _ASK | {Capability.REFERENCE, Capability.LOGPROBS, Capability.COMPLETIONS}
_INSIDE = _ASK | {Capability.REFERENCE, Capability.LOGPROBS, Capability.ACTIVATIONS}
_ALLOWED = {"chat": _ASK, "complete": _ASK, "perplexity_gap": _COMPARE}
"""What an instrument may use; one that is not here looks inside."""
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


OWN_ARM = "own_arm"
"""Setting of a run whose arm is none of `ARMS`: its instruments."""
_AT = "@"


def find_arm(name: str) -> Arm:
    """The arm of that name; ``blackbox@5`` is ``blackbox`` with five interactions.

    Raises:
        FinetraceError: There is none; the hint offers the closest names.
    """
    plain, at, number = name.partition(_AT)
    if plain not in ARMS:
        raise FinetraceError(f"no arm '{name}'", closest(plain, ARMS))
    return replace(ARMS[plain], name=name, interactions=_interactions(name, number)) if at else ARMS[plain]


def make_arm(name: str, instruments: Sequence[str], interactions: int = 50) -> Arm:
    """An arm of one's own, from names of instruments.

    Raises:
        FinetraceError: There is no such instrument, none at all, one twice, or an arm of this name already.
    """
    if name in ARMS or _AT in name or not name.strip():
        raise FinetraceError(
            f"'{name}' cannot be the name of an own arm", f"take one without {_AT} that is none of {', '.join(ARMS)}"
        )
    for instrument in instruments:
        if instrument not in INSTRUMENTS:
            raise FinetraceError(f"arm {name}: no instrument '{instrument}'", closest(instrument, INSTRUMENTS))
    if not instruments or len(set(instruments)) < len(instruments):
        raise FinetraceError(f"arm {name}: each instrument is named once, and one at least", "correct its list")
    allowed = frozenset[Capability]().union(*(_ALLOWED.get(each, _INSIDE) for each in instruments))
    return Arm(name, tuple(instruments), allowed, interactions)


def arm_of(name: str, settings: Mapping[str, Any]) -> Arm:
    """The arm of a run: one of `ARMS`, or its own.

    Args:
        name: What the run calls it.
        settings: Of the run; instruments of an own arm stand under `OWN_ARM`.

    Raises:
        FinetraceError: There is no such arm, or an instrument of it has gone since.
    """
    instruments = settings.get(OWN_ARM)
    if instruments is None:
        return find_arm(name)
    plain, at, number = name.partition(_AT)
    own = make_arm(plain, instruments)
    return replace(own, name=name, interactions=_interactions(name, number)) if at else own


def _interactions(name: str, number: str) -> int:
    """What stands behind the ``@``."""
    if not (number.isascii() and number.isdecimal()):
        raise FinetraceError(f"arm '{name}': '{number}' is no number of interactions", "write it like blackbox@5")
    return int(number)
