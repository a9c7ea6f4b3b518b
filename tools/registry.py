"""All instruments by name. A new one needs its own file and one line here."""

from __future__ import annotations

from finetrace.errors import ToolError, closest
from finetrace.tools.activation_difference import ActivationDifference
from finetrace.tools.causal_check import CausalCheck
from finetrace.tools.chat import Chat
from finetrace.tools.complete import Complete
from finetrace.tools.instrument import Instrument
from finetrace.tools.perplexity_gap import PerplexityGap
from finetrace.tools.steer import Steer

_ALL: tuple[Instrument, ...] = (
    Chat(),
    Complete(),
    PerplexityGap(),
    ActivationDifference(),
    Steer(),
    CausalCheck(),
)

INSTRUMENTS: dict[str, Instrument] = {instrument.name: instrument for instrument in _ALL}


def find_instrument(name: str) -> Instrument:
    """The instrument of that name; hyphens count as underscores.

    Raises:
        ToolError: There is none; the hint offers the closest names.
    """
    wanted = name.replace("-", "_")
    if wanted not in INSTRUMENTS:
        raise ToolError(f"no instrument '{name}'", closest(wanted, INSTRUMENTS))
    return INSTRUMENTS[wanted]
