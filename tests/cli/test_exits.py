from __future__ import annotations

import re

import pytest
from command_line import Command

from finetrace import __version__
from finetrace.cli import exits
from finetrace.errors import FinetraceError, WorkError
from finetrace.store import Store


def _failing(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    def fail(*arguments: object) -> None:
        raise fault

    monkeypatch.setattr(Store, "runs", fail)


@pytest.mark.parametrize(
    ("fault", "code", "lines"),
    [
        (FinetraceError("the file is empty", "name another"), 2, ["error: the file is empty", "→ name another"]),
        (WorkError("the provider is gone", "try again later"), 1, ["error: the provider is gone", "→ try again later"]),
        (FinetraceError("two\nlines \x1b[31m"), 2, ["error: two⏎lines ␛[31m"]),
        (
            exits.Interrupted("finetrace investigate --resume 7"),
            130,
            ["interrupted", "→ continue with: finetrace investigate --resume 7"],
        ),
        (KeyboardInterrupt(), 130, ["interrupted", "→ repeat the command to start again"]),
    ],
)
def test_an_end_has_its_code_and_its_lines(
    finetrace: Command, monkeypatch: pytest.MonkeyPatch, fault: BaseException, code: int, lines: list[str]
) -> None:
    _failing(monkeypatch, fault)
    ended = finetrace("runs", "list")
    assert (ended.code, ended.out, ended.err.splitlines()) == (code, "", lines)


def test_a_fault_of_ours_is_one_line_and_the_way_to_see_more(
    finetrace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing(monkeypatch, ValueError("no [bold]such[/bold] thing"))
    ended = finetrace("runs", "list")
    assert ended.code == 1
    assert ended.err.splitlines()[0] == "error: ValueError: no [bold]such[/bold] thing"
    assert "--debug" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("arguments", [["--debug", "runs", "list"], ["runs", "list", "--debug"]])
def test_debug_may_stand_anywhere_and_shows_the_traceback(
    finetrace: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    _failing(monkeypatch, FinetraceError("the file is empty", "name another"))
    ended = finetrace(*arguments)
    assert ended.code == 2
    assert "Traceback" in ended.err
    assert ended.err.splitlines()[-2:] == ["error: the file is empty", "→ name another"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rnus"], "runs"),
        (["runs", "lst"], "list"),
        (["runs", "list", "--jsn"], "--json"),
        (["runs", "show"], "ID"),
        (["doctor", "surplus"], "surplus"),
    ],
)
def test_a_wrong_command_line_takes_two_lines(finetrace: Command, arguments: list[str], expected: str) -> None:
    ended = finetrace(*arguments)
    assert (ended.code, ended.out) == (2, "")
    first, second = ended.err.splitlines()
    assert expected in first
    assert re.fullmatch(r"→ see 'finetrace.* --help'", second)


def test_the_version_and_the_help_are_shown(finetrace: Command) -> None:
    assert finetrace("--version") == (0, f"finetrace {__version__}\n", "")
    for arguments in (["--help"], ["runs", "-h"], ["organisms", "show", "--help"]):
        ended = finetrace(*arguments)
        assert ended.code == 0
        assert "Usage: finetrace" in ended.out


def test_no_command_shows_the_help(finetrace: Command) -> None:
    ended = finetrace()
    assert ended.code == 2
    assert "organisms" in ended.out + ended.err
