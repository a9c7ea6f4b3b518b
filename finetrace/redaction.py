"""Keys are never stored: whatever looks like one is taken out before a row is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

REMOVED = "[key removed]"

_SECRET_ENDINGS = ("API_KEY", "_TOKEN", "_SECRET", "_PASSWORD", "ACCESS_KEY")
_SECRET_OPTIONS = frozenset({"api_key", "apikey", "authorization", "access_token", "auth_token"})
_SHORTEST = 8


def secrets_of(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Values of the environment variables whose names say that they are keys, longest first."""
    found = {
        value
        for name, value in environment.items()
        if name.upper().endswith(_SECRET_ENDINGS) and len(value) >= _SHORTEST
    }
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def without_keys(value: Any, secrets: tuple[str, ...]) -> Any:
    """The JSON value with every secret replaced, and every option that is named like a key emptied.

    Args:
        value: Anything JSON can say.
        secrets: The texts to remove, from `secrets_of`.
    """
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, REMOVED)
        return value
    if isinstance(value, Mapping):
        return {
            without_keys(name, secrets): REMOVED
            if isinstance(name, str) and name.lower().replace("-", "_") in _SECRET_OPTIONS and item
            else without_keys(item, secrets)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_keys(item, secrets) for item in value]
    return value
