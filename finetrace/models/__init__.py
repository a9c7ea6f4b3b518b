"""Models behind one interface: local pairs, adapters on a shared base, recorded completions."""

from finetrace.models.open_pair import Target, open_pair
from finetrace.models.pair import (
    Capability,
    Completion,
    Decoding,
    Message,
    ModelPair,
    Prompt,
    RestrictedPair,
    Score,
    Side,
    require,
)

__all__ = [
    "Capability",
    "Completion",
    "Decoding",
    "Message",
    "ModelPair",
    "Prompt",
    "RestrictedPair",
    "Score",
    "Side",
    "Target",
    "open_pair",
    "require",
]
