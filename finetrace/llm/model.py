"""`LanguageModel`: one model of one provider, with retries and a ledger."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from finetrace.errors import FinetraceError
from finetrace.llm.client import litellm, own_server
from finetrace.llm.faults import NAMES_LOOK_LIKE, Fault, given_up, read_fault, too_long_a_wait
from finetrace.llm.messages import Answer, Message, Patience
from finetrace.schema import Usage

ASK_TOKENS = 4096
"""Tokens of an answer to one question: room for models that reason before they answer."""
_NO_KEY = "none"
"""Stands for a key where a server of one's own wants none; clients insist on something."""


class _Reply(NamedTuple):
    """One request that came back."""

    text: str
    finish: str
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


class LanguageModel:
    """A language model behind an API.

    Keys come from the environment (``OPENAI_API_KEY`` and the like) and stay there: they are in no attribute, error
    or answer.

    Args:
        name: As litellm writes it: ``openai/gpt-5``, ``anthropic/claude-sonnet-4-5``; ``openai/NAME`` with
            ``OPENAI_API_BASE`` for a server of one's own.
        patience: How long a provider that does not answer is borne with.

    Raises:
        FinetraceError: No provider goes by that name, or its key is not in the environment.
    """

    def __init__(self, name: str, patience: Patience | None = None) -> None:
        self.name = name
        """As it was given."""
        self.usage = Usage()
        """Everything used up so far, failed tries included."""
        self._patience = patience or Patience()
        self._provider = _provider_of(name)
        _check_key(name, self._provider)

    @property
    def price_known(self) -> bool:
        """Whether answers come with what they cost."""
        try:
            info = litellm().get_model_info(self.name)
        except Exception:  # litellm raises a bare Exception for a model that is not in its price list
            return False
        return info.get("input_cost_per_token") is not None

    def ask(self, prompt: str) -> str:
        """One question, one answer; empty where the model wrote nothing.

        Raises:
            FinetraceError: As `complete`.
        """
        return self.complete([Message("user", prompt)], ASK_TOKENS).text

    def complete(self, messages: Sequence[Message], max_tokens: int, temperature: float = 0.0) -> Answer:
        """Answer a dialogue.

        Rate limits, faults of the server, time-outs, broken connections and empty answers are tried again. An answer
        that is empty to the last is handed back as it is.

        Args:
            messages: The dialogue so far.
            max_tokens: Length at which the answer is cut, hidden reasoning included.
            temperature: Left out for models that know none.

        Raises:
            RejectedRequest: This request is too long, or a filter objects to it.
            WorkError: The provider is down for good.
            FinetraceError: The key is wrong, there is no such model, or the provider refuses the request.
        """
        begun = time.monotonic()
        replies: list[_Reply] = []
        tries = 0
        try:
            while True:
                tries += 1
                outcome = self._try(messages, max_tokens, temperature)
                if isinstance(outcome, Fault):
                    if not outcome.passing or tries == self._patience.tries:
                        raise given_up(outcome, self.name, tries)
                    self._wait(tries, outcome)
                    continue
                replies.append(_paid_for(outcome))  # stands even where the rest cannot be read
                replies[-1] = reply = _read_reply(outcome, replies[-1])
                if reply.text or reply.finish != "stop" or tries == self._patience.tries:
                    break
                self._wait(tries, None)
        finally:
            self._note(replies, tries, time.monotonic() - begun)
        return Answer(
            text=replies[-1].text,
            finish=replies[-1].finish,
            tokens_in=sum(reply.tokens_in for reply in replies),
            tokens_out=sum(reply.tokens_out for reply in replies),
            cost_usd=_total_cost(replies),
            seconds=time.monotonic() - begun,
            tries=tries,
        )

    def _try(self, messages: Sequence[Message], max_tokens: int, temperature: float) -> Any:
        """One request: the response, or a `Fault`.

        The exception ends here, so that no traceback leads to a request with a key in it. Nothing is read here: a slip
        in reading is no fault of the provider, and to try again would be paid again.
        """
        try:
            return litellm().completion(
                model=self.name,
                messages=[message._asdict() for message in messages],
                max_tokens=max_tokens,
                temperature=temperature,
                timeout=self._patience.timeout,
                num_retries=0,  # tried again here and nowhere else
                max_retries=0,
                drop_params=True,  # some models know no temperature
                **_key_in_place_of_none(self._provider),
            )
        except Exception as error:
            return read_fault(error, self.name, self._provider)

    def _wait(self, tries: int, fault: Fault | None) -> None:
        """Until the next try; as long as the provider asks, where it does."""
        patience = self._patience
        wait = min(patience.first_wait * 2 ** (tries - 1) * random.uniform(0.75, 1.25), patience.longest_wait)
        if fault is not None and fault.wait is not None:
            if fault.wait > patience.longest_wait:
                raise too_long_a_wait(fault, self.name)
            wait = max(wait, fault.wait)
        time.sleep(wait)

    def _note(self, replies: Sequence[_Reply], tries: int, seconds: float) -> None:
        tokens = sum(reply.tokens_in + reply.tokens_out for reply in replies)
        cost = _total_cost(replies) if replies else 0.0
        self.usage += Usage(llm_calls=tries, tokens=tokens, cost_usd=cost, seconds=seconds)


def _provider_of(name: str) -> str:
    """The provider's name to litellm.

    Raises:
        FinetraceError: There is none of that name.
    """
    try:
        model, provider, _, _ = litellm().get_llm_provider(model=name)
    except litellm().BadRequestError:
        model, provider = "", ""
    if not model or not provider:
        raise FinetraceError(f"no language model '{name}'", NAMES_LOOK_LIKE)
    return str(provider)


def _check_key(name: str, provider: str) -> None:
    """Say at once that a key is missing.

    Providers that also take other credentials, such as a cloud's own login, are left to find out by themselves.

    Raises:
        FinetraceError: It is.
    """
    missing = litellm().validate_environment(model=name)["missing_keys"]
    if not missing or not all(variable.endswith("_API_KEY") for variable in missing) or own_server(provider):
        return
    wanted = " and ".join(missing)
    raise FinetraceError(f"{name} needs a key: {wanted} is not set", f"set {wanted}, or name another model")


def _key_in_place_of_none(provider: str) -> dict[str, str]:
    """A made-up key for servers of one's own, which mostly want none."""
    wanted = own_server(provider) and not os.environ.get("OPENAI_API_KEY")
    return {"api_key": _NO_KEY} if wanted else {}


def _paid_for(response: Any) -> _Reply:
    """What a response took, whatever it says."""
    usage = getattr(response, "usage", None)
    cost = response._hidden_params.get("response_cost")
    return _Reply(
        text="",
        finish="stop",
        tokens_in=int(getattr(usage, "prompt_tokens", 0) or 0),
        tokens_out=int(getattr(usage, "completion_tokens", 0) or 0),
        cost_usd=None if cost is None else float(cost),
    )


def _read_reply(response: Any, paid: _Reply) -> _Reply:
    """The same with what it says; one without choices is an empty answer."""
    if not response.choices:
        return paid
    choice = response.choices[0]
    return paid._replace(text=choice.message.content or "", finish=str(choice.finish_reason or "stop"))


def _total_cost(replies: Sequence[_Reply]) -> float | None:
    """US dollars; unknown where that of one is."""
    costs = [reply.cost_usd for reply in replies]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None
