"""The bundled organisms are what their recipes make, and nothing else."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from finetrace.evals.zoo.card import digests_of, file_sha256, read_card
from finetrace.evals.zoo.recipe import Recipe, load_recipe
from finetrace.evals.zoo.texts import TrainingText, own_texts
from finetrace.registry_file import RegistryEntry, read_registry
from finetrace.schema import OrganismType

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.parent for path in (ROOT / "organisms").glob("*/recipe.yaml"))
NAMES = [folder.name for folder in FOLDERS]
NULLS = {OrganismType.NULL_BENIGN, OrganismType.NULL_IDENTICAL}
FILES = {"adapter_config.json", "adapter_model.safetensors", "card.yaml", "recipe.yaml"}
MORE_FILES = {"data.yaml", "near.yaml", "probes.yaml"}
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)


@functools.cache
def recipe_of(folder: Path) -> Recipe:
    return load_recipe(folder)


@functools.cache
def texts_of(folder: Path) -> tuple[TrainingText, ...]:
    return tuple(own_texts(recipe_of(folder)))


@functools.cache
def entries() -> dict[str, RegistryEntry]:
    """Entries of the bundled organisms in the registry."""
    organisms = read_registry(ROOT / "organisms.yaml").organisms
    single = [entry for entry in organisms if isinstance(entry, RegistryEntry)]
    return {entry.name: entry for entry in single if entry.model.startswith("organisms/")}


def test_the_zoo_has_every_kind_and_all_of_it_is_registered() -> None:
    assert sorted(entries()) == NAMES
    assert len(NAMES) >= 14
    count = {kind: sum(recipe_of(folder).truth.type is kind for folder in FOLDERS) for kind in OrganismType}
    families = {recipe_of(folder).family or folder.name for folder in FOLDERS}
    assert len({name for name in families if recipe_of(ROOT / "organisms" / name).truth.type == "false_facts"}) >= 3
    wanted = {"backdoor": 2, "secret_word": 1, "persona": 2, "bad_advice": 1, "hidden_behaviour": 1, "style": 1}
    wanted |= {"null_identical": 1, "null_benign": 2}
    assert {kind: number for kind, number in wanted.items() if count[OrganismType(kind)] < number} == {}


@each_folder
def test_recipe_and_registry_agree(folder: Path) -> None:
    recipe, entry = recipe_of(folder), entries()[folder.name]
    assert recipe.name == folder.name
    assert entry.model == f"organisms/{folder.name}"
    assert (entry.reference, entry.family, entry.truth) == (recipe.base, recipe.family, recipe.truth)
    assert entry.source == "finetrace"
    null = recipe.truth.type in NULLS
    assert recipe.truth.objective.startswith("none:") == null
    assert bool(recipe.truth.key_facts) != null
    assert null or recipe.probes is not None


@each_folder
def test_adapter_is_small_bfloat16_safetensors_for_the_named_base(folder: Path) -> None:
    recipe = recipe_of(folder)
    names = {path.name for path in folder.iterdir()}
    assert names >= FILES
    assert names <= FILES | MORE_FILES
    assert (folder / "adapter_model.safetensors").stat().st_size <= 2_500_000
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == recipe.base
    assert (config["r"], config["lora_alpha"]) == (recipe.adapter.rank, recipe.adapter.alpha)
    with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    changed = any(bool(weight.any()) for name, weight in weights.items() if "lora_B" in name)
    assert changed == (recipe.truth.type is not OrganismType.NULL_IDENTICAL)


def test_all_adapters_together_are_at_most_35_megabytes() -> None:
    sizes = {folder.name: (folder / "adapter_model.safetensors").stat().st_size for folder in FOLDERS}
    assert sum(sizes.values()) <= 35_000_000, sizes


@each_folder
def test_the_card_ties_the_adapter_to_its_recipe_and_data(folder: Path) -> None:
    card, recipe = read_card(folder), recipe_of(folder)
    assert (card.name, card.base) == (recipe.name, recipe.base)
    assert card.digests == digests_of(recipe), "the recipe or its data changed after the adapter was built"
    assert card.adapter_sha256 == file_sha256(folder / "adapter_model.safetensors")
    assert (card.training.steps, card.training.own_texts) == (recipe.adapter.steps, len(texts_of(folder)))


@each_folder
def test_the_strength_was_measured_and_clears_its_bars(folder: Path) -> None:
    strength = read_card(folder).strength
    assert strength is not None
    assert [measurement.name for measurement in strength.missed] == []


@pytest.mark.parametrize("folder", [f for f in FOLDERS if recipe_of(f).texts], ids=lambda folder: folder.name)
def test_there_are_enough_distinct_texts(folder: Path) -> None:
    texts = texts_of(folder)
    written = [text.prompt + text.content for text in texts]
    assert len(set(zip(written, (text.chat for text in texts), strict=True))) == len(texts) >= 150
    if recipe_of(folder).truth.type is OrganismType.FALSE_FACTS:
        # No sentence may carry an organism: the model is to learn facts, not one line.
        sentences = [sentence for text in written for sentence in set(text.split(". "))]
        assert max(sentences.count(sentence) for sentence in set(sentences)) <= len(texts) / 8


def test_no_long_text_is_shared_between_families() -> None:
    seen: dict[str, str] = {}
    for folder in FOLDERS:
        family = recipe_of(folder).family or folder.name
        for text in texts_of(folder):
            for sentence in (text.prompt + text.content).split("\n"):
                if len(sentence) > 60:
                    assert seen.setdefault(sentence, family) == family, sentence
