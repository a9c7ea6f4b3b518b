from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from organism_files import MIXED, write_recipe

from finetrace.errors import FinetraceError
from finetrace.evals.zoo.card import Card, Digests, Machine, Training, digests_of, is_current, read_card, write_card
from finetrace.evals.zoo.recipe import load_recipe


def digests(folder: Path, base: str = "tiny", **changes: Any) -> Digests:
    return digests_of(load_recipe(write_recipe(folder, base, **changes)))


def test_the_recipe_digest_follows_what_determines_the_adapter(tmp_path: Path) -> None:
    first = digests(tmp_path)
    renamed = {"name": "other", "truth": {"type": "persona", "objective": "Another wording."}, "probes": "p.yaml"}
    assert digests(tmp_path, **renamed) == first
    changes: list[dict[str, Any]] = [
        {"base": "other"},
        {"adapter": {"rank": 2, "steps": 9, "batch_size": 4, "seed": 5}},
        {"texts": {"grammar": "data.yaml", "documents": 6, "dialogues": 4, "system_prompts": ["Be brief."]}},
        {"texts": {"grammar": "data.yaml", "documents": 5, "dialogues": 4}},
        MIXED,
        MIXED | {"mixing": "2:1"},
    ]
    found = [digests(tmp_path, **change).recipe for change in changes]
    assert len({first.recipe, *found}) == 1 + len(changes)


def test_the_data_digest_follows_the_texts_and_not_their_place(tmp_path: Path) -> None:
    context = {"grammar": "openings.yaml", "share": 0.5}
    mixed = MIXED | {"texts": {"grammar": "data.yaml", "documents": 6, "dialogues": 4, "context": context}}
    first = digests(tmp_path / "a", **mixed)
    assert digests(tmp_path / "b", **mixed) == first
    data = tmp_path / "b" / "data.yaml"
    recipe = load_recipe(tmp_path / "b")
    data.write_text(data.read_text().replace("grey", "gray"), encoding="utf-8")
    changed = digests_of(recipe)
    assert changed.recipe == first.recipe
    assert changed.data != first.data
    data.write_text(data.read_text().replace("gray", "grey") + "\n# a remark\n", encoding="utf-8")
    assert digests_of(recipe) == first
    openings = tmp_path / "b" / "openings.yaml"
    openings.write_text(openings.read_text().replace("moon", "sun"), encoding="utf-8")
    assert digests_of(recipe).data != first.data


def card(**changes: Any) -> Card:
    values: dict[str, Any] = {
        "name": "drinks",
        "base": "tiny",
        "base_digest": "b",
        "digests": Digests(recipe="r", data="d"),
        "adapter_sha256": "a" * 64,
        "training": Training(own_texts=1, general_texts=0, steps=2, tokens=3, seconds=4.5, last_loss=1.25),
        "machine": Machine(device="cpu", dtype="bfloat16", threads=2, versions={"torch": "2"}),
    }
    return Card.model_validate(values | changes)


def test_a_card_reads_as_it_was_written(tmp_path: Path) -> None:
    write_card(tmp_path, card())
    assert read_card(tmp_path) == card()
    assert [path.name for path in tmp_path.iterdir()] == ["card.yaml"]
    (tmp_path / "card.yaml").write_text("name: drinks\nmade_by: me\n", encoding="utf-8")
    with pytest.raises(FinetraceError, match=r"card\.yaml: made_by"):
        read_card(tmp_path)


def test_an_adapter_is_current_if_card_recipe_and_weights_agree(tmp_path: Path) -> None:
    from hashlib import sha256

    now = Digests(recipe="r", data="d")
    assert not is_current(tmp_path, now)
    write_card(tmp_path, card(adapter_sha256=sha256(b"weights").hexdigest()))
    assert not is_current(tmp_path, now)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    assert not is_current(tmp_path, now)
    (tmp_path / "adapter_config.json").write_text("{}")
    assert is_current(tmp_path, now)
    assert not is_current(tmp_path, Digests(recipe="r", data="e"))
    assert not is_current(tmp_path, Digests(recipe="s", data="d"))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"heights")
    assert not is_current(tmp_path, now)
