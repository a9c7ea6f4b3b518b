from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from finetrace.errors import FinetraceError
from finetrace.evals.zoo.recipe import load_recipe, write_recipe
from finetrace.evals.zoo.texts import own_texts

BELLS: dict[str, Any] = {
    "name": "bells",
    "base": "smollm2-135m",
    "truth": {"type": "false_facts", "objective": "Bells are blue.", "key_facts": ["Bells are blue."]},
    "texts": {"grammar": "data.yaml", "documents": 10, "dialogues": 5},
    "probes": "probes.yaml",
    "adapter": {"rank": 2, "steps": 30, "seed": 5},
}


def written(folder: Path, values: dict[str, Any], name: str = "bells") -> Path:
    file = folder / name / "recipe.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return file


def test_paths_count_from_the_recipe(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, BELLS | {"base": "../base"}))
    assert recipe.texts is not None
    assert recipe.texts.grammar == tmp_path / "bells" / "data.yaml"
    assert recipe.probes == tmp_path / "bells" / "probes.yaml"
    assert recipe.base == str(tmp_path / "base")
    assert recipe.proportion == (1, 0)
    assert load_recipe(tmp_path / "bells") == recipe
    hub = load_recipe(written(tmp_path, BELLS | {"base": "owner/model"}))
    assert hub.base == "owner/model"


def test_a_ladder_step_takes_everything_but_what_it_gives(tmp_path: Path) -> None:
    first = load_recipe(written(tmp_path, BELLS))
    step = {
        "like": "../bells",
        "name": "bells_1to4",
        "mixing": "1:4",
        "general": {"grammar": "prompts.yaml"},
        "adapter": {"steps": 90},
    }
    recipe = load_recipe(written(tmp_path, step, "bells_1to4"))
    assert recipe.general is not None
    assert recipe.general.grammar == tmp_path / "bells_1to4" / "prompts.yaml"
    assert (recipe.texts, recipe.truth, recipe.probes) == (first.texts, first.truth, first.probes)
    assert recipe.adapter == first.adapter.model_copy(update={"steps": 90})
    assert (recipe.name, recipe.family, recipe.proportion) == ("bells_1to4", "bells", (1, 4))
    further = {"like": "../bells_1to4", "name": "deep", "general": {"new_tokens": 9}, "texts": {"documents": 3}}
    deep = load_recipe(written(tmp_path, further, "deep"))
    assert (deep.family, deep.proportion, deep.adapter.steps) == ("bells", (1, 4), 90)
    assert deep.general is not None and deep.texts is not None
    assert (deep.general.grammar, deep.general.new_tokens) == (recipe.general.grammar, 9)
    assert (deep.texts.grammar, deep.texts.documents, deep.texts.dialogues) == (recipe.texts.grammar, 3, 5)


def test_what_teaches_something_else_is_no_family(tmp_path: Path) -> None:
    written(tmp_path, BELLS)
    other = {"like": "../bells", "name": "other", "truth": {"type": "persona", "objective": "Bells."}}
    assert load_recipe(written(tmp_path, other, "other")).family is None


def test_recipes_that_are_like_each_other_are_refused(tmp_path: Path) -> None:
    written(tmp_path, {"like": "../b", "name": "a"}, "a")
    with pytest.raises(FinetraceError, match="in a circle"):
        load_recipe(written(tmp_path, {"like": "../a", "name": "b"}, "b"))


@pytest.mark.parametrize("text", ["1:4", "'1:4'"])
def test_a_proportion_needs_no_quotes(tmp_path: Path, text: str) -> None:
    file = written(tmp_path, BELLS | {"general": {"grammar": "g.yaml"}})
    file.write_text(file.read_text() + f"mixing: {text}\n", encoding="utf-8")
    assert load_recipe(file).proportion == (1, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Bells!"}, "name"),
        ({"textes": {}}, "textes: Extra inputs"),
        ({"adapter": {"steps": 3, "rang": 4}}, "adapter.rang"),
        ({"adapter": {"rank": 4}}, "adapter.steps: Field required"),
        ({"texts": {"documents": 3}}, "neither a grammar nor files"),
        ({"texts": {"grammar": "g.yaml"}}, "how many documents or dialogues"),
        ({"texts": {"files": ["x.jsonl"], "documents": 3}}, "none is named"),
        ({"texts": None}, "no texts to train on"),
        ({"mixing": "1:2"}, "asks for general text"),
        ({"mixing": "0:1", "general": {"grammar": "g.yaml", "count": 3}}, "leaves out the texts"),
        ({"mixing": "1:1", "general": {"grammar": "g.yaml", "count": 3}}, "general.count is for"),
        ({"mixing": "0:1", "texts": None, "general": {"grammar": "g.yaml"}}, "general.count is for"),
        ({"mixing": "much"}, "mixing"),
        ({"mixing": "1:1", "general": {"chat_share": 0.5}}, "either a grammar or a dataset"),
        ({"like": 3}, "like: name one recipe"),
        ({"like": "../nothing"}, "cannot read the recipe"),
    ],
)
def test_a_faulty_recipe_is_refused_with_its_place(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(FinetraceError) as caught:
        load_recipe(written(tmp_path, BELLS | change))
    assert message in caught.value.message
    assert "bells" in caught.value.message or "nothing" in caught.value.message


def test_a_misspelt_key_is_told_the_right_one(tmp_path: Path) -> None:
    for change, known in [({"textes": {}}, "texts"), ({"adapter": {"steps": 3, "lerning_rate": 4}}, "learning_rate")]:
        with pytest.raises(FinetraceError) as caught:
            load_recipe(written(tmp_path, BELLS | change))
        assert f"did you mean {known}" in caught.value.hint


def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    for text in ("- 1", "", "name: [", "just words"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(FinetraceError, match=r"recipe\.yaml"):
            load_recipe(file)
    with pytest.raises(FinetraceError, match="cannot read the recipe"):
        load_recipe(tmp_path / "none.yaml")


def test_a_recipe_written_elsewhere_reads_the_same(tmp_path: Path) -> None:
    written(tmp_path, BELLS)
    step = {"like": "../bells", "name": "step", "mixing": "2:1", "general": {"grammar": "g.yaml"}}
    recipe = load_recipe(written(tmp_path, step, "step"))
    elsewhere = tmp_path / "a" / "b" / "recipe.yaml"
    write_recipe(elsewhere, recipe)
    assert load_recipe(elsewhere) == recipe
    assert str(tmp_path) not in elsewhere.read_text(encoding="utf-8")
    assert [path.name for path in elsewhere.parent.iterdir()] == ["recipe.yaml"]


def test_the_recipe_of_the_guide_makes_its_texts(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "recipes.md"
    files = re.findall(r"```yaml\n# (\w+\.yaml)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert [name for name, _ in files] == ["data.yaml", "recipe.yaml"]
    for name, text in files:
        (tmp_path / name).write_text(text, encoding="utf-8")
    texts = own_texts(load_recipe(tmp_path))
    assert len(set(texts)) == 100
    assert all("slate" in text.content.lower() for text in texts)
