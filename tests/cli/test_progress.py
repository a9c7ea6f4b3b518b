from __future__ import annotations

import io

import pytest
from rich.console import Console

from finetrace.cli.progress import Bars


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)


def printed(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_who_is_waited_for_is_shown_while_the_wait_lasts_and_bars_stay() -> None:
    console = terminal()
    with Bars(console) as bars:
        bars.advance("answers", 1, 2)
        for _ in range(3):
            with bars.waiting("openai/\x1b[31mgpt"):
                bars._bar.refresh()
            bars.advance("answers", 2, 2)
        bars.advance("answers", 0, 2)
    text = printed(console)
    assert "waiting for openai/␛[31mgpt" in text
    last = text.rsplit("\x1b[2K", 3)
    assert "waiting" not in last[-1] + last[-2] and "2/2" in text and "0/2" in last[-1] + last[-2]


def test_a_wait_that_fails_leaves_nothing_behind() -> None:
    console = terminal()
    with pytest.raises(KeyboardInterrupt), Bars(console) as bars, bars.waiting("openai/gpt"):
        raise KeyboardInterrupt
    assert not bars._bar.tasks
