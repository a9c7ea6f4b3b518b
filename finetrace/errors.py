"""What can go wrong, in words a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FinetraceError(Exception):
    """Something the user can fix.

    Args:
        message: One line that says what is wrong.
        hint: One line that says what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ToolError(FinetraceError):
    """An instrument could not answer; the investigator reads the message and goes on."""


class WorkError(FinetraceError):
    """The work itself failed and no change of input would mend it; the command exits 1, the run stays resumable."""


def closest(name: str, known: Iterable[str], n: int = 3) -> str:
    """A sentence that offers the known names nearest to ``name``, or lists a few when none is near."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name.lower(), names, n=n, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(near) + "?"
    shown = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
    return f"known: {shown}" if names else "none are known"
