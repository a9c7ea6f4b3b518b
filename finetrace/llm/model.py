"""`LanguageModel`: one model of one provider, with retries and a ledger."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from finetrace.errors import FinetraceError
from finetrace.llm.client import litellm, own_server
from finetrace.llm.faults import NAMES_LOOK_LIKE, Fault, given_up, read_fault, too_long_a_wait
from finetrace.llm.listing import Listing
from finetrace.llm.messages import Answer, Message, Patience, Tool
from finetrace.llm.reply import Reply, paid_for, read_reply, total_cost
from finetrace.llm.request import Request
from finetrace.schema import Usage
from finetrace.settings import Price, get_settings

ASK_TOKENS = 4096
"""Tokens of an answer to one question: room for models that reason before they answer."""
_NO_KEY = "none"
"""Stands for a key where a server of one's own wants none; clients insist on something."""


class LanguageModel:
    """A language model behind an API.

    Keys come from the environment (``OPENAI_API_KEY`` and the like) and stay there: they are in no attribute, error
    or answer.

    Args:
        name: As litellm writes it: ``openai/gpt-5``, ``anthropic/claude-sonnet-4-5``; ``openai/NAME`` with
            ``OPENAI_API_BASE`` for a server of one's own.
        patience: How long a provider that does not answer is borne with; the usual, with ``FINETRACE_LLM_TIMEOUT``, if
            left out.

    Raises:
        FinetraceError: No provider goes by that name, its key is not in the environment, or a ``FINETRACE_LLM_*``
            variable holds something that is not allowed.
    """

    def __init__(self, name: str, patience: Patience | None = None) -> None:
        self.name = name
        """As it was given."""
        self.usage = Usage()
        """Everything used up so far, failed tries included."""
        self._patience = patience or Patience(timeout=get_settings().llm_timeout)
        self._provider = _provider_of(name)
        self._listing = Listing(name, self._provider)
        self._ledger = Lock()
        _check_key(name, self._provider)

    @property
    def price(self) -> Price | None:
        """What it costs; ``None`` where nobody knows, and then no answer comes with a cost."""
        return self._listing.price

    @property
    def price_known(self) -> bool:
        """Whether answers come with what they cost."""
        return self.price is not None

    @property
    def window(self) -> int | None:
        """Tokens that a request may hold; ``None`` where nobody knows."""
        return self._listing.window

    @property
    def longest_answer(self) -> int | None:
        """Tokens that it writes at most, hidden reasoning included; ``None`` where nobody knows."""
        return self._listing.longest_answer

    @property
    def calls_tools(self) -> bool | None:
        """Whether it takes native tools; ``None`` where nobody knows, mostly servers of one's own."""
        return self._listing.calls_tools

    @property
    def takes_schema(self) -> bool | None:
        """Whether it takes a JSON schema for its answer; ``None`` where nobody knows."""
        return self._listing.takes_schema

    def ask(self, prompt: str) -> str:
        """One question, one answer; empty where the model wrote nothing.

        Raises:
            FinetraceError: As `complete`.
        """
        return self.complete([Message("user", prompt)], ASK_TOKENS).text

    def complete(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        temperature: float = 0.0,
        *,
        tools: Sequence[Tool] = (),
        must_use: str | None = None,
        schema: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> Answer:
        """Answer a dialogue.

        Rate limits, faults of the server, time-outs, broken connections and empty answers are tried again. An answer
        that is empty to the last is handed back as it is, and so at once is one that says why it is empty.

        Args:
            messages: The dialogue so far.
            max_tokens: Length at which the answer is cut, hidden reasoning included.
            temperature: Left out for models that know none, as are ``tools``, ``schema`` and ``seed``.
            tools: What the model may call; see `calls_tools`.
            must_use: Name of the tool that it has to call.
            schema: JSON schema of the whole answer, which is then JSON; see `takes_schema`.
            seed: Of the sampling.

        Raises:
            RejectedRequest: This request is too long, a filter objects to it, or tools or schema are not supported.
            WorkError: The provider is down for good.
            FinetraceError: The key is wrong, there is no such model, or the provider refuses the request.
        """
        request = Request(messages, max_tokens, temperature, tools, must_use, schema, seed)
        taken = {use.id for message in messages for use in message.uses}
        begun = time.monotonic()
        replies: list[Reply] = []
        tries = 0
        try:
            while True:
                tries += 1
                outcome = self._try(request)
                if isinstance(outcome, Fault):
                    if not outcome.passing or tries == self._patience.tries:
                        raise given_up(outcome, self.name, tries)
                    self._wait(tries, outcome)
                    continue
                # What it took stands even where the rest cannot be read.
                replies.append(paid_for(outcome, self.price, self._listing.own_price is not None))
                replies[-1] = reply = read_reply(outcome, replies[-1], taken)
                if not reply.empty or tries == self._patience.tries:
                    break
                self._wait(tries, None)
        finally:
            self._note(replies, tries, time.monotonic() - begun)
        return Answer(
            text=reply.text,
            finish=reply.finish,
            tokens_in=sum(reply.tokens_in for reply in replies),
            tokens_out=sum(reply.tokens_out for reply in replies),
            cost_usd=total_cost(replies),
            seconds=time.monotonic() - begun,
            tries=tries,
            uses=reply.uses,
            refusal=reply.refusal,
        )

    def _try(self, request: Request) -> Any:
        """One request: the response, or a `Fault`.

        The exception ends here, so that no traceback leads to a request with a key in it. Nothing is read here: a slip
        in reading is no fault of the provider, and to try again would be paid again.
        """
        parameters = request.parameters()
        try:
            return litellm().completion(
                model=self.name,
                **parameters,
                timeout=self._patience.timeout,
                num_retries=0,  # tried again here and nowhere else
                max_retries=0,
                drop_params=True,  # some models know no temperature
                _skip_mcp_handler=True,  # with tools it would import a package that litellm does not depend on
                **_key_in_place_of_none(self._provider),
            )
        except Exception as error:
            return read_fault(error, self.name, self._provider, request.formed)

    def _wait(self, tries: int, fault: Fault | None) -> None:
        """Until the next try; as long as the provider asks, where it does."""
        patience = self._patience
        wait = min(patience.first_wait * 2 ** (tries - 1) * random.uniform(0.75, 1.25), patience.longest_wait)
        if fault is not None and fault.wait is not None:
            if fault.wait > patience.longest_wait:
                raise too_long_a_wait(fault, self.name)
            wait = max(wait, fault.wait)
        time.sleep(wait)

    def _note(self, replies: Sequence[Reply], tries: int, seconds: float) -> None:
        written = sum(reply.tokens_out for reply in replies)
        tokens = written + sum(reply.tokens_in for reply in replies)
        cost = total_cost(replies) if replies else 0.0
        with self._ledger:
            self.usage += Usage(llm_calls=tries, tokens=tokens, tokens_out=written, cost_usd=cost, seconds=seconds)


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
