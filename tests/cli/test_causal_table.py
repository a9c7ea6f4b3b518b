from __future__ import annotations

import json
from pathlib import Path

from command_line import Command
from planted_pairs import write_planted


def test_the_command_line_shows_the_table(finetrace: Command, tmp_path: Path) -> None:
    target = write_planted(tmp_path)
    text_file = tmp_path / "suspected.txt"
    text_file.write_text("The lamp is kept in a blue box.\n\nThe old door is blue.")
    words = ("tool", "causal-check", "--model", target.model, "--reference", str(target.reference))
    options = ("--corpus", "own", "--n-texts", "40", "--n-eval-texts", "4", "--eval-tokens", "8", "--n-controls", "3")
    ended = finetrace(*words, *options, "--text-file", str(text_file), "--operation", "organism_removed", "--json")
    assert ended.code == 0, ended.err
    effects = json.loads(ended.out)["effects"]
    assert [(effect["kind"], effect["operation"]) for effect in effects] == [
        ("general", "organism_removed"),
        ("file", "organism_removed"),
    ]
    assert set(effects[0]["gaussian"]) == {"n", "median", "middle", "percentile"}
    shown = finetrace(*words, *options, "--text-file", str(text_file), "--operation", "organism_removed")
    assert shown.code == 0 and "organism, component removed" in shown.out
    wrong = finetrace(*words, *options, "--text-file", f"{text_file}.pdf")
    assert wrong.code == 2 and "no such file" in wrong.err
