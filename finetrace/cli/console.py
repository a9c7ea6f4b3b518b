"""The two streams of a command: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_IN_FILES = 120
"""Columns where the output goes to a file or a pipe, which have no width of their own."""


def results() -> Console:
    """Console for what was asked for."""
    return _console(stderr=False)


def remarks() -> Console:
    """Console for progress, warnings and errors."""
    return _console(stderr=True)


def print_json(value: Any) -> None:
    """One JSON value on standard output, in ASCII: no text of a model can act on the terminal, any encoding does."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def _console(*, stderr: bool) -> Console:
    """A console that takes plain strings literally: no markup, emoji codes or guessed colours in them."""
    from rich.console import Console

    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_IN_FILES
    return console
