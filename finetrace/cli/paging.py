"""Long results page: what does not fit on the screen goes to the user's pager, colours and all."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli import console

if TYPE_CHECKING:
    from rich.console import Console

NoPager = Annotated[bool, typer.Option("--no-pager", help="Print everything at once, however long.")]

_LESS = "FRX"
"""Ends at once where all fits, shows colours, leaves the text on the screen."""


@contextlib.contextmanager
def paged(no_pager: bool = False) -> Iterator[Console]:
    """A console for results whose output is shown page by page, where there is a terminal and it is long.

    The pager is ``FINETRACE_PAGER``, else ``PAGER``, else ``less``; an empty name or ``cat`` means none.
    """
    results = console.results()
    pager = [] if no_pager or not (results.is_terminal and sys.stdin.isatty()) else _pager()
    if not pager:
        yield results
        return
    with results.capture() as capture:
        yield results
    text = capture.get()
    if text.count("\n") < results.height:
        sys.stdout.write(text)
    else:
        _show(text, pager)


def _pager() -> list[str]:
    """The pager's command; empty where there is none."""
    named = os.environ.get("FINETRACE_PAGER", os.environ.get("PAGER"))
    try:
        command = shlex.split("less" if named is None else named)
    except ValueError:  # an odd number of quotes
        return []
    return command if command and command[0] != "cat" and shutil.which(command[0]) else []


def _show(text: str, command: list[str]) -> None:
    """Hand the text to the pager and wait until its user has seen enough."""
    environment = {"LESS": _LESS, "LESSCHARSET": "utf-8"} | os.environ
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as pager:
        try:
            if pager.stdin is not None:
                pager.stdin.write(text.encode(errors="backslashreplace"))
                pager.stdin.close()
        except BrokenPipeError:
            pass  # it was left before the end
        while True:
            try:
                pager.wait()
            except KeyboardInterrupt:
                continue  # Ctrl-C is the pager's own while it has the screen
            break
