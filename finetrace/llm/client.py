"""litellm, imported late and made quiet. No other module imports it."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any

from finetrace.llm.mending import mended

_SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # otherwise the import downloads a price list
    "LITELLM_MODE": "PRODUCTION",  # otherwise the import reads keys from any .env file nearby
}
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")


@cache
def litellm() -> Any:
    """The package; the first call takes seconds.

    Its settings must stand in the environment before the import. Whoever set one of them meant it.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import litellm as package

    package.suppress_debug_info = True  # otherwise each error prints a banner on standard output
    for name in _LOGGERS:
        # Its handlers write to standard output too, and what they write may hold prompts.
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
    package.client_session = _session()
    return package


def _session() -> Any:
    """The HTTP client for all servers in OpenAI's form, with answers mended on the way in.

    Mended there because what litellm and OpenAI's client cannot read is lost: they raise, and the answer is paid for.
    """
    import httpx
    from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

    class Session(httpx.Client):
        def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
            answer = super().send(request, stream=stream, **options)
            if stream or answer.status_code != httpx.codes.OK:
                return answer
            # The body is no longer compressed, and its length may differ.
            wrong = ("content-encoding", "content-length", "transfer-encoding")
            headers = [(name, value) for name, value in answer.headers.multi_items() if name not in wrong]
            body = mended(answer.content)
            whole = httpx.Response(answer.status_code, headers=headers, content=body, request=request)
            whole.history = answer.history
            whole.elapsed = answer.elapsed
            return whole

    return Session(verify=get_ssl_configuration(), follow_redirects=True)


def own_server(provider: str) -> bool:
    """Whether ``openai/NAME`` means another server than OpenAI's, one of the user's own mostly."""
    address = os.environ.get("OPENAI_API_BASE") or os.environ.get("OPENAI_BASE_URL")
    return provider == "openai" and bool(address)
