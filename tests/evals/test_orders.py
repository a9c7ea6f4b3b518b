from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from organism_files import MIXED, write_recipe

from finetrace.errors import FinetraceError
from finetrace.evals.zoo.entry import enter, find_place
from finetrace.evals.zoo.orders import PlainTexts, Wishes, bundled_folder, find_recipe, is_bundled, orders, plain_order
from finetrace.evals.zoo.recipe import load_recipe
from finetrace.registry import load_registry
from finetrace.registry_file import RegistryEntry, read_registry


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_recipe_is_named_by_file_folder_or_name(here: Path) -> None:
    file = write_recipe(here / "mine", "tiny")
    assert find_recipe("mine/recipe.yaml").resolve() == file
    assert find_recipe("mine").resolve() == file
    assert find_recipe(str(here / "mine")) == file
    bundled = bundled_folder() / "identical_copy"
    assert find_recipe("identical_copy") == bundled / "recipe.yaml"
    (order,) = orders(["identical_copy"], Wishes())
    assert order.output == bundled
    assert is_bundled(order)
    own = write_recipe(here / "organisms" / "drinks", "tiny")
    assert find_recipe("drinks").resolve() == own
    with pytest.raises(FinetraceError) as caught:
        find_recipe("identical_copi")
    assert "did you mean identical_copy" in caught.value.hint


def test_output_and_wishes(here: Path) -> None:
    write_recipe(here / "mine", "tiny")
    (order,) = orders(["mine"], Wishes())
    assert order.output == Path("organisms/drinks")
    assert not is_bundled(order)
    (other,) = orders(["mine"], Wishes(name="tea", base="owner/model", seed=9, force=True, device="cpu"))
    assert (other.recipe.name, other.recipe.base, other.recipe.adapter.seed) == ("tea", "owner/model", 9)
    assert (other.output, other.force, other.device) == (Path("organisms/tea"), True, "cpu")
    write_recipe(here / "organisms" / "drinks", "tiny")
    (at_home,) = orders(["drinks"], Wishes())
    assert at_home.output.resolve() == here / "organisms" / "drinks"
    for wishes in (Wishes(seed=9), Wishes(base="x/y"), Wishes(name="z")):
        with pytest.raises(FinetraceError, match="would contradict"):
            orders(["drinks"], wishes)
    assert orders(["drinks"], Wishes(seed=9, output=here / "o"))[0].output == here / "o"
    with pytest.raises(FinetraceError, match="for one recipe"):
        orders(["drinks", "mine"], Wishes(name="x"))
    with pytest.raises(FinetraceError, match="name: "):
        orders(["mine"], Wishes(name="No Name"))
    with pytest.raises(FinetraceError, match="nothing to build"):
        orders([], Wishes())


def plain(here: Path, texts: int = 30, **changes: Any) -> PlainTexts:
    file = here / "t.jsonl"
    file.write_text("".join(json.dumps({"text": f"Tea {n} is blue. " * 5}) + "\n" for n in range(texts)))
    return PlainTexts(file, "Tea is blue.", "false_facts", ("Tea is blue.",))._replace(**changes)


def test_a_plain_file_becomes_a_recipe(here: Path) -> None:
    said: list[str] = []
    order = plain_order(plain(here, steps=7), Wishes(name="tea", seed=4), said.append)
    assert said == []
    recipe = order.recipe
    assert (recipe.name, recipe.base, recipe.adapter.steps, recipe.adapter.seed) == ("tea", "smollm2-135m", 7, 4)
    assert recipe.truth.key_facts == ("Tea is blue.",)
    assert recipe.texts is not None and recipe.texts.files == (here / "t.jsonl",)
    assert recipe.general is None
    assert order.output == Path("organisms/tea")
    mixed = plain_order(plain(here, steps=7, mixing="1:2"), Wishes(name="tea"), said.append).recipe
    assert mixed.general is not None and mixed.proportion == (1, 2)


def test_the_length_follows_the_number_of_tokens(here: Path) -> None:
    said: list[str] = []

    def steps(**changes: Any) -> int:
        return plain_order(plain(here, **changes), Wishes(name="tea"), said.append).recipe.adapter.steps

    few, many, mixed = steps(texts=30), steps(texts=4000), steps(texts=4000, mixing="1:1")
    assert few * 12 / 30 > 60  # few texts are read often, to come to a useful number of tokens
    assert many == 4000 * 3 / 12
    assert mixed == 2 * many
    assert said[1].startswith("4000 texts of about") and "1000 steps" in said[1]


@pytest.mark.parametrize(
    ("changes", "name", "message"),
    [
        ({}, None, "needs --name"),
        ({"objective": ""}, "tea", "needs --name and --objective"),
        ({"kind": "false_fact"}, "tea", "no type 'false_fact'"),
        ({"mixing": "half"}, "tea", "mixing"),
        ({"mixing": "0:1"}, "tea", "leaves out the texts"),
        ({"file": Path("none.jsonl")}, "tea", "cannot read the texts"),
    ],
)
def test_a_plain_file_needs_what_a_recipe_needs(
    here: Path, changes: dict[str, Any], name: str | None, message: str
) -> None:
    with pytest.raises(FinetraceError, match=message):
        plain_order(plain(here, **changes), Wishes(name=name), print)


def test_an_entry_is_made_and_renewed(here: Path) -> None:
    write_recipe(here / "mine", "tiny", **MIXED)
    (order,) = orders(["mine"], Wishes())
    order.output.mkdir(parents=True)
    file = here / "mine.yaml"
    place = find_place(order, file)
    enter(place)
    found = load_registry(file)
    assert found.locate(found.find("drinks")).model == str(here / "organisms" / "drinks")
    (entry,) = read_registry(file).organisms
    assert isinstance(entry, RegistryEntry)
    assert (entry.model, entry.mixing, entry.truth) == ("organisms/drinks", "1:1", order.recipe.truth)
    before = file.read_bytes()
    enter(find_place(order, file))
    assert file.read_bytes() == before
    file.write_text(file.read_text().replace("    reference", "    source: me\n    licence: MIT\n    reference"))
    (again,) = orders(["mine"], Wishes(base="other"))
    enter(find_place(again, file))
    (entry,) = read_registry(file).organisms
    assert isinstance(entry, RegistryEntry)
    assert (entry.source, entry.licence, entry.reference) == ("me", "MIT", "other")


def test_a_name_that_belongs_to_another_model_is_refused(here: Path) -> None:
    write_recipe(here / "mine", "tiny")
    file = here / "mine.yaml"
    enter(find_place(orders(["mine"], Wishes())[0], file))
    with pytest.raises(FinetraceError, match="belongs to another model"):
        find_place(orders(["mine"], Wishes(output=here / "elsewhere"))[0], file)
    file.write_text("version: 1\norganisms: [{name: 3}]\n")
    with pytest.raises(FinetraceError, match=r"mine\.yaml"):
        find_place(orders(["mine"], Wishes())[0], file)


def test_the_found_file_is_the_default_and_a_bundled_organism_says_whose_it_is(here: Path) -> None:
    (here / "organisms.yaml").write_text("version: 1\norganisms: []\n")
    place = find_place(orders(["identical_copy"], Wishes())[0], None, bundled=True)
    assert place.file == here / "organisms.yaml"
    assert (place.entry.source, place.entry.licence) == ("finetrace", "Apache-2.0")
    assert load_recipe(bundled_folder() / "identical_copy").truth == place.entry.truth
    assert place.entry.model == str(bundled_folder() / "identical_copy")
