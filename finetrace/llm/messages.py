"""What goes to a language model and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple


class ToolUse(NamedTuple):
    """A call of a tool that a model wrote. Nothing in it has been checked."""

    id: str
    """What the answer to it refers to; made up where the provider gives none, or one that is taken."""
    name: str
    """As the model wrote it; empty where it left the name out."""
    arguments: str
    """As the model wrote them: JSON of an object if all is well, and any text if not."""


class Message(NamedTuple):
    """One turn of a dialogue."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    uses: tuple[ToolUse, ...] = ()
    """Calls in a message of the assistant; each must be answered by a later message of role ``tool``."""
    use_id: str | None = None
    """`ToolUse.id` of the call that a message of role ``tool`` answers."""


class Tool(NamedTuple):
    """A tool as a model is told of it."""

    name: str
    """Letters, digits, ``_`` and ``-``; at most 64."""
    description: str
    parameters: Mapping[str, Any]
    """JSON schema of an object."""


class Answer(NamedTuple):
    """What a language model answered, and what that took: all tries, not only the one that went well."""

    text: str
    """Empty where the model wrote nothing, only called tools, or the provider held it back."""
    finish: str
    """Why it ends there, in the provider's word: ``stop``, ``tool_calls``, ``length``, ``content_filter``."""
    tokens_in: int
    """As the provider counted; 0 where it does not say."""
    tokens_out: int
    """The same; hidden reasoning is in it."""
    cost_usd: float | None
    """US dollars; ``None`` where the price of this model is unknown."""
    seconds: float
    """Wall-clock time, waiting included."""
    tries: int
    """Requests sent."""
    uses: tuple[ToolUse, ...] = ()
    """Calls of tools, in the order in which the model wrote them."""
    refusal: str = ""
    """What the model says where it refuses to answer, for providers that keep this apart from the text."""


class Patience(NamedTuple):
    """How long a provider that does not answer is borne with."""

    tries: int = 4
    """Requests in all for one answer."""
    timeout: float = 300.0
    """Seconds of silence after which one request counts as failed. Nothing is streamed, so a model is silent until it
    has read, reasoned and written; on a processor that takes minutes."""
    first_wait: float = 1.0
    """Seconds before the second try; each later wait is twice as long, give or take a quarter."""
    longest_wait: float = 60.0
    """Seconds. A provider that asks for a longer wait is given up at once."""
