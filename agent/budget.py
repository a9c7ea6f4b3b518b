"""What an investigation may use up, and the words it ends with."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from finetrace.schema import Usage


class Budget(BaseModel):
    """Upper bounds; ``None`` is none. Exceeding one ends tool use and asks for an answer, it never stops a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interactions: int | None = Field(default=None, ge=0)
    """Prompts put to the organism and sampled from."""
    llm_calls: int | None = Field(default=None, ge=0)
    """Calls to an investigator LLM."""
    tokens: int | None = Field(default=None, ge=0)
    """Tokens of those calls, read and written."""
    tokens_out: int | None = Field(default=None, ge=0)
    """Tokens written in those calls; what was read is free."""
    cost_usd: float | None = Field(default=None, ge=0)
    """US dollars."""
    seconds: float | None = Field(default=None, ge=0)
    """Wall-clock time, seconds."""

    def exhausted(self, usage: Usage, turn: Usage = Usage()) -> str | None:
        """Which bound is reached, in words; ``None`` while none is. Interactions are asked for by call.

        Args:
            usage: What was used so far.
            turn: What a turn of a language model takes: after one more, the answer has to fit in as well.
        """
        bounds = {
            "llm_calls": "LLM calls",
            "tokens": "tokens",
            "tokens_out": "tokens written",
            "seconds": "seconds",
            "cost_usd": "US dollars",
        }
        ahead = usage + turn + turn
        for name, unit in bounds.items():
            bound, used, needed = getattr(self, name), getattr(usage, name), getattr(ahead, name)
            if bound is None:
                continue
            if used is None or needed is None:
                return f"what was used of the budget of {bound:g} {unit} is unknown: the provider did not count"
            if used >= bound:
                return f"the budget of {bound:g} {unit} is used up"
            if needed > bound:
                return f"the budget of {bound:g} {unit} is all but used up"
        return None

    def interactions_left(self, usage: Usage) -> int | None:
        """How often the organism may still be asked; ``None`` without a bound."""
        return None if self.interactions is None else max(0, self.interactions - usage.interactions)
