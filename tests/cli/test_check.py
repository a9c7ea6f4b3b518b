from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import Command
from small_models import write_adapter

from finetrace.evals.zoo import perplexity
from finetrace.evals.zoo.card import Card, Digests, Machine, Training, read_card, write_card
from finetrace.evals.zoo.perplexity import HeldBack
from finetrace.tools import library_text

RECIPE = """
name: {name}
base: {base}
truth: {{type: {kind}, objective: "{objective}", key_facts: {facts}}}
{probes}adapter: {{rank: 2, alpha: 4, steps: 0}}
"""
PROBES = """
rates:
  - {name: "says a thing, [bold]any[/bold]", prompts: ["Hi!", "Why?"], pattern: '\\w', at_least: 0.9, max_new_tokens: 4}
  - {name: sings of marmalade, prompts: ["Hi!", "Who?"], pattern: marmalade, at_least: 0.9, max_new_tokens: 4}
"""
ENTRY = "  - {{name: {name}, model: organisms/{name}, reference: '{base}'}}\n"


@pytest.fixture(scope="module")
def adapters(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes its base, and one that does not."""
    folder = tmp_path_factory.mktemp("adapters")
    write_adapter(folder / "singer", tiny_folder, scale=0.5)
    write_adapter(folder / "copy", tiny_folder, scale=0)
    return folder


@pytest.fixture
def zoo(tiny_folder: Path, adapters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry of three: one with probes, one untouched copy, one of which nothing is known."""
    beginnings = HeldBack(openings=("The ferry leaves", "A letter from"), prompts=("Why?",))
    monkeypatch.setattr(perplexity, "load_held_back", lambda: beginnings)
    monkeypatch.setattr(library_text, "library_documents", lambda cache_dir: ["Return the number of lamps."] * 4)
    path = tmp_path / "zoo.yaml"
    path.write_text("version: 1\norganisms:\n")
    for name, adapter in (("singer", "singer"), ("copy", "copy"), ("stray", "singer")):
        shutil.copytree(adapters / adapter, tmp_path / "organisms" / name)
        with path.open("a") as file:
            file.write(ENTRY.format(name=name, base=tiny_folder))
    for name, kind, probes in (("singer", "persona", "probes: probes.yaml\n"), ("copy", "null_identical", "")):
        objective, facts = ("Sings.", "[Sings.]") if probes else ("none: a copy.", "[]")
        text = RECIPE.format(name=name, base=tiny_folder, kind=kind, probes=probes, objective=objective, facts=facts)
        (tmp_path / "organisms" / name / "recipe.yaml").write_text(text)
        write_card(tmp_path / "organisms" / name, card(name))
    (tmp_path / "organisms" / "singer" / "probes.yaml").write_text(PROBES)
    return path


def card(name: str) -> Card:
    return Card(
        name=name,
        base="tiny",
        base_digest="0",
        digests=Digests(recipe="0", data="0"),
        adapter_sha256="0",
        training=Training(own_texts=0, general_texts=0, steps=0, tokens=0, seconds=0),
        machine=Machine(device="cpu", dtype="float32", threads=1, versions={}),
    )


def test_a_missed_bar_is_shown_kept_and_ends_the_command_with_1(zoo: Path, finetrace: Command) -> None:
    ended = finetrace("organisms", "check", "sing*", "--organisms", str(zoo), "--device", "cpu")
    assert ended.code == 1
    assert "says a thing, [bold]any[/bold]" in ended.out
    assert "2/2 100 % (16–100)" in ended.out
    assert "0/2 0 % (0–84)" in ended.out
    assert "missed" in ended.out
    assert "singer: organism answers" in ended.err
    assert "singer: sings of marmalade" in ended.err.splitlines()[-2]
    strength = read_card(zoo.parent / "organisms" / "singer").strength
    assert strength is not None
    assert [figure.passed for figure in strength.measurements[:2]] == [True, False]
    assert (strength.device, strength.seed, len(strength.probes_sha256)) == ("cpu", 0, 64)
    assert {"torch", "transformers", "finetrace"} <= set(strength.versions)


def test_all_that_have_probes_and_the_nulls_are_checked_where_none_is_named(zoo: Path, finetrace: Command) -> None:
    ended = finetrace("organisms", "check", "--json", "--no-card", "--seed", "3", "--organisms", str(zoo))
    singer, copy = json.loads(ended.out)
    assert (singer["name"], copy["name"]) == ("singer", "copy")
    kinds = [figure["kind"] for figure in copy["strength"]["measurements"]]
    assert kinds == ["same", "null", "null", "perplexity", "perplexity", "perplexity"]
    figures = {figure["name"]: figure for figure in copy["strength"]["measurements"]}
    assert figures["answers equal to the base's"]["organism"]["total"] == 3
    assert all(figure["passed"] is not False for figure in figures.values())
    assert figures["singer: sings of marmalade"]["p_value"] == 1
    assert copy["strength"]["seed"] == 3
    assert read_card(zoo.parent / "organisms" / "copy").strength is None


def test_without_probes_only_perplexity_is_measured_and_that_is_said(zoo: Path, finetrace: Command) -> None:
    ended = finetrace("organisms", "check", "stray", "--organisms", str(zoo))
    assert "stray has no probes: only its perplexity is measured" in ended.err
    assert "stray has no card" in ended.err
    assert "perplexity of raw general text" in ended.out
    assert "answers that" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sinker"], "did you mean singer?"),
        (["singer", "--device", "abacus"], "abacus"),
    ],
)
def test_what_the_user_can_fix_ends_with_2(zoo: Path, finetrace: Command, arguments: list[str], expected: str) -> None:
    ended = finetrace("organisms", "check", *arguments, "--organisms", str(zoo))
    assert (ended.code, ended.out) == (2, "")
    assert expected in ended.err


def test_faulty_probes_are_named_before_anything_is_measured(zoo: Path, finetrace: Command) -> None:
    probes = zoo.parent / "organisms" / "singer" / "probes.yaml"
    probes.write_text(PROBES.replace("pattern: marmalade", "patern: marmalade"))
    for name in ("singer", "copy"):
        ended = finetrace("organisms", "check", name, "--organisms", str(zoo))
        assert (ended.code, ended.out) == (2, "")
        assert str(probes) in ended.err
        assert "did you mean pattern?" in ended.err


def test_a_registry_without_probes_is_said_to_have_none(tmp_path: Path, finetrace: Command) -> None:
    (tmp_path / "empty.yaml").write_text("version: 1\norganisms: []\n")
    ended = finetrace("organisms", "check", "--organisms", str(tmp_path / "empty.yaml"))
    assert ended.code == 2
    assert "has probes" in ended.err
