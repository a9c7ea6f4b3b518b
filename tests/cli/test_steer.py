from __future__ import annotations

import json
from pathlib import Path

from command_line import Command
from small_models import write_adapter

SHORT = ("--corpus", "own", "--n-texts", "8", "--opening", "The old", "--question", "Who?", "--task", "Count to two.")


def test_steer_shows_steered_beside_unsteered_text(finetrace: Command, tmp_path: Path, tiny_folder: Path) -> None:
    adapter = write_adapter(tmp_path / "lora", tiny_folder)
    where = ("--model", str(adapter), "--on", "reference", "--strength", "0.5", "--max-new-tokens", "4")
    ended = finetrace("tool", "steer", *where, *SHORT, "--json")
    assert ended.code == 0, ended.err
    reading = json.loads(ended.out)
    assert reading["on"] == "reference" and reading["strength"] == 0.5
    assert [exchange["kind"] for exchange in reading["exchanges"]] == ["opening", "question", "task"]
    shown = finetrace("tool", "steer", *where, *SHORT)
    assert shown.code == 0 and shown.out.count("  unsteered 1: ") == 3


def test_a_strength_that_is_no_number_exits_2(finetrace: Command) -> None:
    ended = finetrace("tool", "steer", "tide_bells", "--strength", "much")
    assert ended.code == 2 and "strength" in ended.err and ended.out == ""
