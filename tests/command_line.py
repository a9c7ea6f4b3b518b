"""What a command line gives back in a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


def in_process(capsys: pytest.CaptureFixture[str]) -> Command:
    """Command lines in this process, through the function behind the console script."""
    from finetrace.cli import main

    def command(*arguments: str) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else int(bool(code)), printed.out, printed.err)

    return command
