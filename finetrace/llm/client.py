"""litellm, imported late and made quiet. No other module imports it."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any

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
    return package


def own_server(provider: str) -> bool:
    """Whether ``openai/NAME`` means another server than OpenAI's, one of the user's own mostly."""
    address = os.environ.get("OPENAI_API_BASE") or os.environ.get("OPENAI_BASE_URL")
    return provider == "openai" and bool(address)
