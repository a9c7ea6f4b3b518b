from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import Command
from scripted import save_organism

from finetrace.tools import INSTRUMENTS

SHORT = ("--max-new-tokens", "6")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("organism") / "model"
    save_organism(tiny_folder, folder)
    return ("--model", str(folder), "--reference", str(tiny_folder))


def test_without_a_name_the_instruments_are_listed(finetrace: Command) -> None:
    listed = finetrace("tool")
    assert listed.code == 0
    names = re.findall(r"^([a-z-]+): ", listed.out, flags=re.MULTILINE)
    assert names == [name.replace("_", "-") for name in INSTRUMENTS]
    assert names[:2] == ["chat", "complete"] and "perplexity-gap" in names
    as_json = json.loads(finetrace("tool", "--json").out)
    assert [entry["name"] for entry in as_json] == list(INSTRUMENTS)


def test_an_instrument_alone_explains_itself(finetrace: Command) -> None:
    explained = finetrace("tool", "perplexity-gap")
    assert explained.code == 0
    assert "nats per token" in explained.out
    assert "--n-prefills" in explained.out and "--rank-by" in explained.out
    assert "  --corpus " in explained.out
    assert "(default own, self, python, repeatable)" in " ".join(explained.out.split())
    assert "--corpora" not in explained.out and "<View" not in explained.out
    schema = json.loads(finetrace("tool", "chat", "--json").out)
    assert "prompts" in schema["arguments"]["properties"]


def test_chat_draws_samples_of_both_models(finetrace: Command, pair: tuple[str, ...]) -> None:
    options = ("--prompts", "Hello?", "--prompts", "Who pays?", "--samples", "2", *SHORT)
    ended = finetrace("tool", "chat", *pair, *options, "--json")
    assert ended.code == 0, ended.err
    exchanges = json.loads(ended.out)["exchanges"]
    assert [exchange["prompt"] for exchange in exchanges] == ["Hello?", "Who pays?"]
    assert all(len(exchange["organism"]) == len(exchange["reference"]) == 2 for exchange in exchanges)
    shown = finetrace("tool", "chat", *options, *pair)
    assert shown.code == 0 and shown.out.count("prompt: ") == 2


def test_complete_and_an_equals_sign(finetrace: Command, pair: tuple[str, ...]) -> None:
    ended = finetrace("tool", "complete", "--texts=--- The old", *SHORT, *pair, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["exchanges"][0]["prompt"] == "--- The old"


def test_the_perplexity_gap_is_ranked(finetrace: Command, pair: tuple[str, ...]) -> None:
    options = (
        "--corpus",
        "own",
        "--framing",
        "raw",
        "--n-prefills",
        "6",
        "--n-background",
        "2",
        "--paired",
        "--k",
        "4",
        *SHORT,
    )
    ended = finetrace("tool", "perplexity-gap", *pair, *options, "--json")
    assert ended.code == 0, ended.err
    reading = json.loads(ended.out)
    sound = [row["log_ratio"] for row in reading["completions"] if not (row["degenerate"] or row["short"])]
    assert len(reading["completions"]) == 4 and sound == sorted(sound, reverse=True)


def test_a_list_takes_its_option_in_the_singular_and_in_the_plural(finetrace: Command, pair: tuple[str, ...]) -> None:
    options = ("--text", "The old", "--texts", "A new", "--text=Some", *SHORT)
    ended = finetrace("tool", "complete", *pair, *options, "--json")
    assert ended.code == 0, ended.err
    assert [exchange["prompt"] for exchange in json.loads(ended.out)["exchanges"]] == ["The old", "A new", "Some"]


def test_only_a_list_has_a_singular(finetrace: Command) -> None:
    ended = finetrace("tool", "chat", "tide_bells", "--prompt", "Hi", "--sample", "2")
    assert ended.code == 2 and "chat has no option --sample" in ended.err and "--samples" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("chatt",), "no instrument 'chatt'", "did you mean chat?"),
        (("chat", "--promts", "Hi", "--model", "x"), "chat has no option --promts", "did you mean --prompt?"),
        (("chat", "--modle", "x"), "chat has no option --modle", "--model"),
        (("chat", "--prompts"), "--prompts needs a value", "finetrace tool chat"),
        (("chat", "--prompts", "Hi"), "nothing to look at", "--model"),
        (("chat", "tide_bells", "heron"), "unexpected 'heron'", "options begin with --"),
        (("chat", "tide_bells", "--model", "x", "--prompts", "Hi"), "different things", "--model"),
        (("chat", "tide_bells", "--samples", "many"), "samples", "arguments: prompts"),
        (("chat", "tide_bels", "--prompts", "Hi"), "tide_bels", "tide_bells"),
        (("--samples", "3", "chat"), "--samples comes before the instrument", "finetrace tool INSTRUMENT"),
        (("perplexity-gap", "tide_bells", "--view", "search"), "pattern", "arguments"),
    ],
)
def test_a_wrong_command_line_exits_2_in_two_lines(
    finetrace: Command, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    ended = finetrace("tool", *arguments, "--json")
    assert ended.code == 2 and ended.out == ""
    wrong, help_line = ended.err.strip().splitlines()
    assert message in wrong
    assert hint in help_line


def test_a_recorded_file_can_be_searched_but_not_asked(finetrace: Command, tmp_path: Path) -> None:
    file = tmp_path / "completions.jsonl"
    line = {"prefill": "The", "completion": " marmalade wages", "ppl_reference": 9, "ppl_finetuned": 3}
    file.write_text("\n".join(json.dumps(line | {"completion": f" marmalade wage {i}"}) for i in range(12)))
    where = ("--recorded", str(file))
    found = finetrace("tool", "perplexity-gap", *where, "--view", "search", "--pattern", r"wage \d$", "--k", "99")
    assert found.code == 0, found.err
    assert "10 of all 12" in found.out
    broken = finetrace("tool", "perplexity-gap", *where, "--view", "search", "--pattern", "(")
    assert broken.code == 2 and "Traceback" not in broken.err
    asked = finetrace("tool", "chat", *where, "--prompts", "Hi")
    assert asked.code == 2 and "chat needs" in asked.err


def test_the_embedded_base_goes_by_its_name(finetrace: Command, own_folders: Path, tiny_folder: Path) -> None:
    options = ("--text", "The capital of France is", "--max-new-tokens", "4", "--temperature", "0", "--json")
    base = finetrace("tool", "complete", "--model", "smollm2-135m", *options)
    assert base.code == 0, base.err
    (written,) = json.loads(base.out)["exchanges"]
    assert "Paris" in written["organism"][0] and written["reference"] is None
    beside = finetrace("tool", "complete", "--model", str(tiny_folder), "--reference", "smollm2-135m", *options)
    assert beside.code == 0, beside.err
    (both,) = json.loads(beside.out)["exchanges"]
    assert both["reference"] == written["organism"] != both["organism"]
