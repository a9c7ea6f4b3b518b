"""What can go wrong with a provider: tried again, or told in words a user can act on."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple

from finetrace.errors import FinetraceError, WorkError
from finetrace.llm.client import litellm, own_server
from finetrace.redaction import secrets_of, without_keys

NAMES_LOOK_LIKE = (
    "names look like openai/gpt-5 or anthropic/claude-sonnet-4-5; "
    "for a server of your own set OPENAI_API_BASE and write openai/NAME"
)
_TRY_LATER = "see whether the provider has an outage, then run the command again"
_SLOW = "see whether the server still works on it, and give it longer with FINETRACE_LLM_TIMEOUT (seconds)"
_CHECK_SERVER = "see whether the server at OPENAI_API_BASE runs, then run the command again"
_LONGEST = 200
"""Characters of a provider's own words that are shown."""
_TOO_LONG = re.compile(
    r"context (length|window|size|limit)|maximum (context|input|prompt) length|"
    r"(prompt|input|request|messages?) (is|are) too (long|large)|too many (input )?tokens",
    re.IGNORECASE,
)
"""How servers without a code of their own for it say that a request is too long."""
_NO_FORM = re.compile(
    r"tool|function|response_format|json.?schema|structured output|grammar|jinja|conversation roles", re.IGNORECASE
)
"""How servers say that they cannot do, or not with this model, what a request with tools or a schema asks for."""
_NO_FORM_THOUGH_BROKEN = re.compile(
    r"requires? --jinja|failed to parse|not (yet )?(supported|implemented)", re.IGNORECASE
)
"""The same under a status that says that the server is out of order. Tried again it would be no better."""
_FORM_CODES = frozenset({"tool_use_failed", "json_validate_failed", "output_parse_failed"})

_REJECTED = {
    "context": "ask with less text",
    "content": "name another model, whose provider filters less",
    "form": "ask in plain text, or name another model, which knows tools",
}


class RejectedRequest(FinetraceError):
    """The provider will not answer this request, and others it would.

    Args:
        message: One line that says what is wrong.
        reason: ``context``: it is longer than the model's window; ``content``: a filter objects to what it says;
            ``form``: model or provider do not know tools or schemas, or failed at them.
    """

    def __init__(self, message: str, reason: Literal["context", "content", "form"]) -> None:
        super().__init__(message, _REJECTED[reason])
        self.reason = reason


class Fault(NamedTuple):
    """A request that failed."""

    error: FinetraceError
    """What to raise where it is given up."""
    passing: bool
    """Whether the same request may go well a moment later."""
    wait: float | None = None
    """Seconds the provider asks to wait."""


def read_fault(error: Exception, model: str, provider: str, formed: bool = False) -> Fault:
    """What an exception of litellm means.

    Nothing in the result refers to the exception, whose text and whose request may hold the key.

    Args:
        error: What `litellm.completion` raised.
        model: The model's name as the user wrote it.
        provider: The part of it that litellm takes for the provider.
        formed: Whether the request asked for tools or a schema.
    """
    package = litellm()
    status = getattr(error, "status_code", None)
    code = _code(error)
    if code == "insufficient_quota" or status == 402:
        return _final(f"the account at {provider} has no credit left for {model}", "top it up, or name another model")
    if isinstance(error, ImportError):
        return _final(f"{provider} needs a Python package that is not installed: {error.name}", "install it")
    if _is_too_long(error, status, code):
        return Fault(RejectedRequest(f"the request is too long for {model}", "context"), passing=False)
    if isinstance(error, package.ContentPolicyViolationError) or code == "content_filter":
        return Fault(RejectedRequest(f"{provider} filters this request to {model}", "content"), passing=False)
    if status in (401, 403):
        return _final(f"{provider} does not accept the key for {model}", f"check {_key_name(provider)}")
    if formed and _is_no_form(error, status, code):
        return Fault(RejectedRequest(f"{model} does not do tools or schemas: {said(error)}", "form"), passing=False)
    if status == 404:
        return _final(f"{provider} has no model '{model}'", _missing_hint(provider))
    if isinstance(error, package.Timeout) or status == 408:
        return Fault(WorkError("no answer in time", _SLOW), passing=True)
    if isinstance(error, package.APIConnectionError) or status is None or status == 409 or status >= 429:
        return _passing(provider, said(error), _asked_to_wait(error))
    return _final(f"{provider} refuses the request to {model}: {said(error)}", "name another model")


def said(error: Exception) -> str:
    """The provider's own words, on one line, short, without keys."""
    without = str(without_keys(str(error), secrets_of()))
    line = " ".join(without.split())
    if "Invalid response object" in line or "provider returned 'choices'" in line:  # with litellm's own traceback
        return "an answer in no form that can be read"
    # "litellm.RateLimitError: RateLimitError: OpenAIException - slow down" says in front what nobody needs.
    line = re.split(r"Exception -(?:\s|$)", line, maxsplit=1)[-1].strip() or type(error).__name__
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def given_up(fault: Fault, model: str, tries: int) -> FinetraceError:
    """What to raise after the last try."""
    if not fault.passing:
        return fault.error
    times = "a single try" if tries == 1 else f"{tries} tries"
    return WorkError(f"{model} gave no answer in {times}: {fault.error.message}", fault.error.hint)


def too_long_a_wait(fault: Fault, model: str) -> FinetraceError:
    """What to raise where the provider asks for more patience than there is."""
    return WorkError(f"{model} asks to wait {fault.wait:.0f} seconds: {fault.error.message}", _TRY_LATER)


def _is_too_long(error: Exception, status: int | None, code: str) -> bool:
    if isinstance(error, litellm().ContextWindowExceededError):
        return True
    if code in ("context_length_exceeded", "exceed_context_size_error") or status == 413:
        return True
    return status in (400, 422, 500) and bool(_TOO_LONG.search(str(error)))


def _is_no_form(error: Exception, status: int | None, code: str) -> bool:
    if isinstance(error, litellm().UnsupportedParamsError) or code in _FORM_CODES:
        return True
    if status in (400, 404, 422):
        return bool(_NO_FORM.search(str(error)))
    return status in (500, 501) and bool(_NO_FORM_THOUGH_BROKEN.search(str(error)))


def _final(message: str, hint: str) -> Fault:
    return Fault(FinetraceError(message, hint), passing=False)


def _passing(provider: str, what: str, wait: float | None) -> Fault:
    return Fault(WorkError(what, _CHECK_SERVER if own_server(provider) else _TRY_LATER), passing=True, wait=wait)


def _code(error: Exception) -> str:
    """The provider's own word for the fault; empty where it has none."""
    body = getattr(error, "body", None)
    inner = body.get("code") or body.get("type") if isinstance(body, Mapping) else None
    return str(inner or getattr(error, "code", None) or "")


def _asked_to_wait(error: Exception) -> float | None:
    """Seconds, from ``Retry-After`` as a number or a date."""
    headers = getattr(error, "litellm_response_headers", None) or {}
    wanted = headers.get("retry-after")
    if wanted is None:
        return None
    try:
        return max(0.0, float(wanted))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(wanted)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _key_name(provider: str) -> str:
    """The variable the key is most likely in."""
    name = f"{provider.upper()}_API_KEY"
    return name if name in os.environ else "the provider's key in the environment"


def _missing_hint(provider: str) -> str:
    if own_server(provider):
        return "check the name, and that OPENAI_API_BASE is whole: it mostly ends in /v1"
    return NAMES_LOOK_LIKE
