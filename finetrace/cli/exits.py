"""How a command ends: 0 done, 1 the work failed, 2 the user can fix it, 130 stopped with Ctrl-C."""

from __future__ import annotations

import sys
import traceback

from finetrace.errors import FinetraceError, WorkError

DONE = 0
FAILED = 1
FIXABLE = 2
INTERRUPTED = 130


class Interrupted(Exception):
    """The user pressed Ctrl-C in the middle of something that can be continued.

    Args:
        resume: The command that continues it.
    """

    def __init__(self, resume: str = "") -> None:
        super().__init__("interrupted")
        self.resume = resume


def report(fault: BaseException, *, debug: bool = False) -> int:
    """Say on standard error what went wrong and what to do about it.

    Args:
        fault: What ended the command.
        debug: Show the traceback too.

    Returns:
        The exit code.
    """
    if debug:
        traceback.print_exception(fault)
    if isinstance(fault, WorkError):
        return _say(FAILED, fault.message, fault.hint)
    if isinstance(fault, FinetraceError):
        return _say(FIXABLE, fault.message, fault.hint)
    if isinstance(fault, Interrupted):
        return _say(INTERRUPTED, "interrupted", f"continue with: {fault.resume}" if fault.resume else "")
    if isinstance(fault, KeyboardInterrupt):
        return _say(INTERRUPTED, "interrupted", "repeat the command to start again")
    if hasattr(fault, "format_message"):  # a usage error of the command line, whichever click typer brings
        return _say_usage(fault)
    message = f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
    return _say(FAILED, message, "" if debug else "this is a fault of finetrace; --debug shows where it happened")


def _say_usage(fault: BaseException) -> int:
    """A wrong command line; for an empty one its help is the message, or was shown already."""
    context = getattr(fault, "ctx", None)
    command = getattr(context, "command_path", "finetrace")
    message = str(fault.format_message())  # type: ignore[attr-defined]
    if type(fault).__name__ == "NoArgsIsHelpError":
        if message.strip():
            sys.stderr.write(message + "\n")
        return FIXABLE
    return _say(FIXABLE, message, f"see '{command} --help'")


def _say(code: int, message: str, hint: str) -> int:
    """One line for what is wrong, one for what to do."""
    from rich.text import Text

    from finetrace.cli.console import remarks
    from finetrace.cli.escaping import visible

    console = remarks()
    label = "" if code == INTERRUPTED else "error: "
    console.print(Text(label, "bold red").append(visible(message, one_line=True), "not bold default"), soft_wrap=True)
    if hint:
        console.print(Text("→ ", "cyan").append(visible(hint, one_line=True), "default"), soft_wrap=True)
    return code
