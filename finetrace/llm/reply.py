"""One request that came back: what it took, and what it says."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from finetrace.llm.mending import written
from finetrace.llm.messages import ToolUse
from finetrace.llm.request import whole_characters
from finetrace.redaction import secrets_of, without_keys
from finetrace.settings import Price

_PER = 1_000_000
_ID_CHARACTERS = 9
"""Of an id that is made up: so many, letters and digits only, is what the strictest provider takes."""
_SAYS_NOTHING = ("stop", "tool_calls", "function_call")
"""Reasons to end that do not tell why an answer is empty."""


class Reply(NamedTuple):
    """One request that came back."""

    text: str
    finish: str
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    uses: tuple[ToolUse, ...] = ()
    refusal: str = ""

    @property
    def empty(self) -> bool:
        """Whether it says nothing and gives no reason, so that it is worth asking again."""
        return not (self.text.strip() or self.uses or self.refusal) and self.finish in _SAYS_NOTHING


def paid_for(response: Any, price: Price | None, own: bool) -> Reply:
    """What a response took, whatever it says.

    Args:
        response: litellm's.
        price: What the model costs; ``None`` where nobody knows, and then the answer's cost is unknown too.
        own: Whether the price is the user's own, which litellm knows nothing of.
    """
    usage = getattr(response, "usage", None)
    read = max(0, int(getattr(usage, "prompt_tokens", 0) or 0))
    spent = max(0, int(getattr(usage, "completion_tokens", 0) or 0))
    cost = response._hidden_params.get("response_cost")
    if price is None or not (read or spent or price.free):
        cost = None  # litellm takes what it does not know for free
    elif own or cost is None:
        cost = (read * price.input + spent * price.output) / _PER
    return Reply("", "stop", read, spent, None if cost is None else float(cost))


def read_reply(response: Any, paid: Reply, taken: Collection[str] = ()) -> Reply:
    """The same with what it says; one without choices is an empty answer.

    Args:
        response: litellm's.
        paid: From `paid_for`.
        taken: Ids of calls earlier in the dialogue.
    """
    if not response.choices:
        return paid
    choice = response.choices[0]
    message = choice.message
    extras = getattr(message, "provider_specific_fields", None) or {}
    return paid._replace(
        text=_kept(message.content or ""),
        finish=str(choice.finish_reason or "stop"),
        uses=_uses(getattr(message, "tool_calls", None) or [], taken),
        refusal=_kept(str(extras.get("refusal") or "")),
    )


def total_cost(replies: Sequence[Reply]) -> float | None:
    """US dollars; unknown where that of one is."""
    costs = [reply.cost_usd for reply in replies]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _uses(calls: Sequence[Any], taken: Collection[str]) -> tuple[ToolUse, ...]:
    """The calls, each under an id of its own: some servers number them anew in every answer."""
    used, found = set(taken), []
    for call in calls:
        function = _of(call, "function") or _of(call, "custom")
        arguments = _of(function, "arguments")
        given = str(_of(call, "id") or "")
        if not given or given in used:
            given = uuid.uuid4().hex[:_ID_CHARACTERS]
        used.add(given)
        text = written(_of(function, "input") if arguments is None else arguments)
        found.append(ToolUse(given, _kept(str(_of(function, "name") or "")), _kept(text)))
    return tuple(found)


def _kept(text: str) -> str:
    """What a model wrote, as it may be stored: some gateways put the key into what they answer."""
    return str(without_keys(whole_characters(text), secrets_of()))


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
