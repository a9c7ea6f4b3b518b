from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Command
from scripted import save_organism
from small_models import other_tokenizer, write_model

SMALL = ("--corpus", "own", "--n-texts", "20", "--positions", "2")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("pair")
    base = write_model(folder / "base", other_tokenizer(), vocabulary=320)
    save_organism(base, folder / "organism")
    return ("--model", str(folder / "organism"), "--reference", str(base))


def test_depths_and_reads_are_repeated_options(finetrace: Command, pair: tuple[str, ...]) -> None:
    options = ("--depth", "1", "--depth", "0", "--read", "lens", "--read=added", *SMALL)
    ended = finetrace("tool", "activation-difference", *pair, *options, "--json")
    assert ended.code == 0, ended.err
    reading = json.loads(ended.out)
    assert reading["instrument"] == "activation_difference" and reading["n_texts"] == 20
    assert [layer["layer"] for layer in reading["layers"]] == [0, 1]
    last = reading["layers"][1]["positions"]
    assert [position["position"] for position in last] == [None, 0, 1]
    assert [found["read"] for found in last[0]["difference"]] == ["lens", "added"]
    shown = finetrace("tool", "activation-difference", *options, *pair, "--one-at-a-time")
    assert shown.code == 0, shown.err
    assert "layer 0 (depth 0): no difference, value for value" in shown.out
    assert "layer 1 (depth 1), usual norm" in shown.out and "controls: random differences" in shown.out


def test_it_explains_itself(finetrace: Command) -> None:
    explained = finetrace("tool", "activation-difference")
    assert explained.code == 0
    words = " ".join(explained.out.split())
    assert "--depth" in words and "--read " in words and "(default 0.5, repeatable)" in words


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--depth", "1.5"), "less than or equal to 1"),
        (("--depth", "nan"), "finite"),
        (("--read", "lense"), "reads"),
        (("--position", "3", "--positions", "0"), "no option --position"),
        (("--n-texts", "1"), "greater than or equal to 2"),
    ],
)
def test_a_wrong_option_exits_2_in_two_lines(
    finetrace: Command, pair: tuple[str, ...], options: tuple[str, ...], says: str
) -> None:
    ended = finetrace("tool", "activation-difference", *pair, *options)
    assert ended.code == 2 and ended.out == ""
    assert says in ended.err and len(ended.err.strip().splitlines()) == 2


def test_what_no_text_is_long_enough_for_exits_2(finetrace: Command, pair: tuple[str, ...]) -> None:
    ended = finetrace("tool", "activation-difference", *pair, "--corpus", "own", "--positions", "250")
    assert ended.code == 2 and "no text has 250 tokens" in ended.err


def test_recorded_completions_have_no_activations(finetrace: Command, tmp_path: Path) -> None:
    file = tmp_path / "recorded.jsonl"
    file.write_text(json.dumps({"prefill": "The", "completion": " bell", "ppl_reference": 8.0, "ppl_finetuned": 2.0}))
    ended = finetrace("tool", "activation-difference", "--recorded", str(file))
    assert ended.code == 2 and "needs activations" in ended.err
