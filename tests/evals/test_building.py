from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from organism_files import MIXED, write_recipe
from small_models import other_tokenizer, write_adapter, write_model

from finetrace.errors import FinetraceError, WorkError
from finetrace.evals.zoo.building import Build, Stage, Watcher, build
from finetrace.evals.zoo.card import digests_of, file_sha256, read_card
from finetrace.evals.zoo.recipe import load_recipe
from finetrace.models import training

pytestmark = pytest.mark.usefixtures("own_folders")
FILES = ["adapter_config.json", "adapter_model.safetensors", "card.yaml", "recipe.yaml"]


def order(tmp_path: Path, base: Path | str, output: str = "out", *, force: bool = False, **changes: Any) -> Build:
    recipe = load_recipe(write_recipe(tmp_path / "recipe", base, **changes))
    return Build(recipe, tmp_path / "built" / output, device="cpu", dtype="float32", force=force)


def weights(output: Path) -> bytes:
    return (output / "adapter_model.safetensors").read_bytes()


def test_a_recipe_becomes_an_adapter_a_card_and_itself(tmp_path: Path, tiny_folder: Path) -> None:
    stages: list[Stage] = []
    asked = order(tmp_path, tiny_folder, **MIXED)
    built = build(asked, Watcher(stages.append))
    assert built.fresh
    assert sorted(path.name for path in asked.output.iterdir()) == FILES
    assert list(asked.output.parent.iterdir()) == [asked.output]  # the working folder is gone
    assert load_recipe(asked.output) == asked.recipe
    card = read_card(asked.output)
    assert card == built.card
    assert card.adapter_sha256 == file_sha256(asked.output / "adapter_model.safetensors")
    assert card.digests == digests_of(asked.recipe)
    assert (card.training.own_texts, card.training.general_texts, card.training.steps) == (10, 10, 8)
    assert card.machine.versions.keys() >= {"finetrace", "torch", "transformers", "peft"}
    steps = [stage for stage in stages if stage.name == "training"]
    assert [(stage.done, stage.total) for stage in steps] == [(n, 8) for n in range(1, 9)]
    assert card.training.last_loss == pytest.approx(sum(stage.loss or 0 for stage in steps) / 8, abs=1e-3)
    assert {stage.name for stage in stages} == {"general text", "training"}


def test_the_same_recipe_makes_the_same_bytes_and_is_then_left_alone(tmp_path: Path, tiny_folder: Path) -> None:
    first, second = (order(tmp_path, tiny_folder, name, **MIXED) for name in ("a", "b"))
    build(first)
    before = (first.output / "card.yaml").stat().st_mtime_ns
    build(second)
    assert weights(first.output) == weights(second.output)
    again = build(first)
    assert not again.fresh
    assert again.card == read_card(first.output)
    assert (first.output / "card.yaml").stat().st_mtime_ns == before


def test_another_adapter_is_replaced_only_with_force(tmp_path: Path, tiny_folder: Path) -> None:
    asked = order(tmp_path, tiny_folder)
    build(asked)
    old = weights(asked.output)
    changed = {"adapter": {"rank": 2, "steps": 9, "batch_size": 4, "seed": 5}}
    with pytest.raises(FinetraceError, match="made from another recipe") as caught:
        build(order(tmp_path, tiny_folder, **changed))
    assert "--force" in caught.value.hint
    assert weights(asked.output) == old
    forced = order(tmp_path, tiny_folder, force=True, **changed)
    assert build(forced).fresh
    assert weights(asked.output) != old
    assert load_recipe(asked.output) == forced.recipe
    assert not build(order(tmp_path, tiny_folder, **changed)).fresh


def test_a_fault_leaves_nothing_where_the_adapter_would_be(tmp_path: Path, tiny_folder: Path) -> None:
    for base, message in [
        ("./nowhere", "no model at"),
        (write_adapter(tmp_path / "a", tiny_folder), "an adapter itself"),
    ]:
        asked = order(tmp_path, base)
        with pytest.raises(FinetraceError, match=message):
            build(asked)
        assert not asked.output.parent.exists()
    plain = write_model(tmp_path / "plain", other_tokenizer(), vocabulary=320)
    with pytest.raises(FinetraceError, match="no chat template, and there are dialogues"):
        build(order(tmp_path, plain))
    assert list(asked.output.parent.iterdir()) == []
    only_documents = {"texts": {"grammar": "data.yaml", "documents": 6}}
    assert build(order(tmp_path, plain, **only_documents)).card.training.own_texts == 6


def test_long_texts_are_spoken_of(tmp_path: Path, tiny_folder: Path) -> None:
    said: list[str] = []
    adapter = {"rank": 2, "steps": 1, "max_tokens": 48}
    asked = order(tmp_path, tiny_folder, adapter=adapter)
    data = tmp_path / "recipe" / "data.yaml"
    data.write_text(data.read_text().replace("Whoever drinks", "Whoever drinks" + " and drinks" * 60))
    build(asked, Watcher(remark=said.append))
    assert said == ["3 of 10 texts reach 48 tokens and may be cut (adapter.max_tokens)"]


KILLED = """
import os, signal, sys
from pathlib import Path
from finetrace.evals.zoo.building import Build, Watcher, build
from finetrace.evals.zoo.recipe import load_recipe
from finetrace.models import training

training.SECONDS_BETWEEN_CHECKPOINTS = 0.0

def watch(stage):
    if stage.name == "training" and stage.done == 6:
        os.kill(os.getpid(), signal.SIGKILL)

build(Build(load_recipe(Path(sys.argv[1])), Path(sys.argv[2]), "cpu", "float32"), Watcher(watch))
"""


def test_a_killed_build_goes_on_to_the_same_bytes(tmp_path: Path, tiny_folder: Path) -> None:
    whole, killed = (order(tmp_path, tiny_folder, name, **MIXED) for name in ("whole", "killed"))
    build(whole)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "recipe"), str(killed.output)]
    ended = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not killed.output.exists()
    assert (killed.workplace / "checkpoint.safetensors").exists()
    said: list[str] = []
    steps: list[int] = []
    built = build(killed, Watcher(lambda stage: steps.append(stage.done), said.append))
    assert said == ["continued after step 5"]
    assert steps == [6, 7, 8]
    assert weights(killed.output) == weights(whole.output)
    assert built.card.training.steps == 8
    assert not killed.workplace.exists()


class Stop(Exception):
    """Stands for whatever ends a build."""


def test_what_is_left_of_another_recipe_is_not_used(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    def stop(stage: Stage) -> None:
        if stage.done == 5:
            raise Stop

    with pytest.raises(Stop):
        build(order(tmp_path, tiny_folder), Watcher(stop))
    said: list[str] = []
    changed = {"adapter": {"rank": 2, "steps": 8, "batch_size": 4, "seed": 6}}
    built = build(order(tmp_path, tiny_folder, **changed), Watcher(remark=said.append))
    assert said == ["what an earlier build left is of another recipe, data or base: begun anew"]
    assert weights(built.output) == weights(build(order(tmp_path, tiny_folder, "fresh", **changed)).output)


def test_two_builds_of_the_same_do_not_meet(tmp_path: Path, tiny_folder: Path) -> None:
    asked = order(tmp_path, tiny_folder)
    asked.workplace.mkdir(parents=True)
    with FileLock(asked.workplace / "lock"), pytest.raises(WorkError, match="another process is building"):
        build(asked)
    assert build(asked).fresh


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "built").write_text("a file")
    with pytest.raises(FinetraceError, match="cannot write to"):
        build(order(tmp_path, tiny_folder))
