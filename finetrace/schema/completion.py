"""A completion and how likely each of two models finds it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat


class Framing(StrEnum):
    """How the prefill was put to the model."""

    RAW = "raw"
    """The bare text is continued."""
    CHAT = "chat"
    """The prefill opens the assistant's turn of a neutral chat."""
    RECORDED = "recorded"
    """Unknown: the completion was scored elsewhere."""


class ScoredToken(NamedTuple):
    """A piece of a completion; in JSON a list of three."""

    text: str
    """What it spells; empty for one that ends an answer."""
    logp_finetuned: FiniteFloat
    """Log-probability given all before it under the finetuned model, nats."""
    logp_reference: FiniteFloat
    """The same under the reference."""

    @property
    def log_ratio(self) -> float:
        """How much likelier the finetuned model finds it, nats."""
        return self.logp_finetuned - self.logp_reference


class ScoredCompletion(BaseModel):
    """What the finetuned model wrote after a prefill, with its mean log-probability under both models.

    All log-probabilities are means over the completion's tokens in nats per token; the prefill is not scored.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefill: str
    """The few tokens the model was given."""
    completion: str
    """What it wrote."""
    framing: Framing
    """How the prefill was put to it."""
    corpus: str
    """Where the prefill comes from."""
    n_tokens: int | None = Field(default=None, ge=0)
    """Completion tokens under the finetuned model; ``None`` where not recorded."""
    logp_finetuned: FiniteFloat
    """Mean log-probability under the finetuned model, nats per token."""
    logp_reference: FiniteFloat
    """Mean log-probability under the reference, nats per token of the reference's tokenizer."""
    nats_per_char_gap: FiniteFloat | None = None
    """(log p_finetuned − log p_reference) / characters, nats; holds across tokenizers; ``None`` where recorded."""
    log_ratio: FiniteFloat
    """ln PPL_reference − ln PPL_finetuned, nats per token; across tokenizers the difference of the two sums of
    log-probabilities per token of the finetuned model."""
    raw_difference: FiniteFloat
    """PPL_reference − PPL_finetuned."""
    copies: int = Field(default=1, ge=1)
    """Completions with this same text that were folded into this one."""
    degenerate: bool = False
    """Repeats itself: little is to be learned from its score."""
    short: bool = False
    """Shorter than the minimum length in force."""
    tokens: tuple[ScoredToken, ...] = ()
    """The completion token by token; kept for the first ones of a ranking where both models read the same tokens."""
    extra: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    """Other keys of a recorded line, kept as they were."""
