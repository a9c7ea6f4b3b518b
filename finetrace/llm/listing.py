"""What litellm's list says of a model, and what the user says instead."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from finetrace.llm.client import litellm
from finetrace.settings import Price, get_settings

_PER = 1_000_000


class Listing:
    """One model: its window, its price, and what it can do.

    Args:
        name: As litellm writes it.
        provider: The part of it that litellm takes for the provider.

    Raises:
        FinetraceError: A ``FINETRACE_LLM_*`` variable holds something that is not allowed.
    """

    def __init__(self, name: str, provider: str) -> None:
        settings = get_settings()
        self._name, self._provider = name, provider
        self.own_price: Price | None = settings.llm_prices.get(name)
        """From ``FINETRACE_LLM_PRICES``."""
        self._own_window = settings.llm_window

    @property
    def window(self) -> int | None:
        """Tokens that a request may hold; ``None`` where nobody knows."""
        listed = self._listed.get("max_input_tokens")
        return self._own_window or (int(listed) if listed else None)

    @property
    def longest_answer(self) -> int | None:
        """Tokens that it writes at most; ``None`` where nobody knows."""
        listed = self._listed.get("max_output_tokens")
        return int(listed) if listed else None

    @cached_property
    def price(self) -> Price | None:
        """The user's own, or else the listed one; ``None`` where there is neither."""
        if self.own_price is not None:
            return self.own_price
        # litellm reports a price of zero for models that it lists without one, so its list is asked itself.
        row = litellm().model_cost.get(self._listed.get("key")) or {}
        read, written = row.get("input_cost_per_token"), row.get("output_cost_per_token")
        if read is None or written is None:
            return None
        return Price(input=float(read) * _PER, output=float(written) * _PER)

    @property
    def calls_tools(self) -> bool | None:
        """Whether it takes native tools; ``None`` where it is in no list."""
        return self._can("tools", "supports_function_calling")

    @property
    def takes_schema(self) -> bool | None:
        """Whether it takes a JSON schema for its answer; ``None`` where it is in no list."""
        return self._can("response_format", "supports_response_schema")

    def _can(self, parameter: str, ability: str) -> bool | None:
        known = litellm().get_supported_openai_params(self._name, self._provider)
        if known is not None and parameter not in known:
            return False  # litellm would leave it out in silence
        if litellm().model_cost.get(self._listed.get("key")) is None:
            return None
        return bool(getattr(litellm(), ability)(model=self._name))

    @cached_property
    def _listed(self) -> Mapping[str, Any]:
        """The model's line in the list; empty where it has none."""
        try:
            return dict(litellm().get_model_info(self._name))
        except Exception:  # litellm raises many kinds for a model that is not in its list
            return {}
