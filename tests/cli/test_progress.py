from __future__ import annotations

import io

from rich.console import Console

from finetrace.cli.progress import Bars


def test_a_stage_that_begins_again_after_waiting_gets_a_bar_of_its_own() -> None:
    out = io.StringIO()
    with Bars(Console(file=out, width=100), waited_for="openai/gpt-5") as bars:
        for _ in range(2):
            bars.advance("organism", 1, 2)
            bars.advance("organism", 2, 2)
            bars.wait()
            bars.advance("reference", 0, 2)
            bars.wait()
    assert out.getvalue().count("organism") == 2
