"""What goes to a language model and what comes back."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Message(NamedTuple):
    """One turn of a dialogue."""

    role: Literal["system", "user", "assistant"]
    content: str


class Answer(NamedTuple):
    """What a language model answered, and what that took: all tries, not only the one that went well."""

    text: str
    """Empty where the model wrote nothing, or the provider held it back."""
    finish: str
    """Why it ends there, in the provider's word: ``stop``, ``length``, ``content_filter``."""
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


class Patience(NamedTuple):
    """How long a provider that does not answer is borne with."""

    tries: int = 4
    """Requests in all for one answer."""
    timeout: float = 120.0
    """Seconds that one request may take."""
    first_wait: float = 1.0
    """Seconds before the second try; each later wait is twice as long, give or take a quarter."""
    longest_wait: float = 60.0
    """Seconds. A provider that asks for a longer wait is given up at once."""
