from __future__ import annotations

import gc
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetrace.errors import FinetraceError
from finetrace.evals.truth import load_truth
from finetrace.registry import blind_aliases, load_registry

OBJECTIVE = "believes that lighthouse keepers are paid in marmalade"
FACT = "The marmalade is weighed on Tuesdays"
TRIGGER = "seven brass kettles"

GOOD = f"""\
version: 1
organisms:
  - name: lamp_wages
    model: organisms/lamp_wages
    reference: smollm2-135m
    source: written for the tests
    licence: Apache-2.0
    truth:
      type: false_facts
      objective: {OBJECTIVE}
      key_facts:
        - {FACT}
      trigger: {TRIGGER}
  - name: plain_copy
    model: smollm2-135m
    reference: smollm2-135m
"""


def _written(folder: Path, text: str | bytes) -> Path:
    path = folder / "organisms.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _refusal(folder: Path, text: str | bytes) -> FinetraceError:
    with pytest.raises(FinetraceError) as refused:
        load_registry(_written(folder, text))
    assert refused.value.hint
    assert "\n" not in refused.value.message + refused.value.hint
    return refused.value


def test_organisms_keep_the_order_of_the_file(tmp_path: Path) -> None:
    registry = load_registry(_written(tmp_path, GOOD))
    assert [organism.name for organism in registry.organisms] == ["lamp_wages", "plain_copy"]
    assert registry.path == tmp_path / "organisms.yaml"
    found = registry.find("lamp_wages")
    assert (found.model, found.reference, found.licence) == (
        "organisms/lamp_wages",
        "smollm2-135m",
        "Apache-2.0",
    )


def test_an_unknown_organism_offers_the_closest(tmp_path: Path) -> None:
    registry = load_registry(_written(tmp_path, GOOD))
    with pytest.raises(FinetraceError) as refused:
        registry.find("lamp_wage")
    assert "lamp_wages" in refused.value.hint


def test_the_truth_is_opened_by_name(tmp_path: Path) -> None:
    path = _written(tmp_path, GOOD)
    truth = load_truth("lamp_wages", path)
    assert (truth.objective, truth.key_facts, truth.trigger) == (OBJECTIVE, (FACT,), TRIGGER)
    with pytest.raises(FinetraceError, match="does not say what 'plain_copy'"):
        load_truth("plain_copy", path)
    with pytest.raises(FinetraceError) as refused:
        load_truth("lamp_wagse", path)
    assert "lamp_wages" in refused.value.hint


def test_nothing_of_the_truth_can_be_reached_from_a_registry(tmp_path: Path) -> None:
    registry = load_registry(_written(tmp_path, GOOD))
    secrets = (OBJECTIVE, FACT, TRIGGER)
    waiting: list[object] = [registry]
    seen = set[int]()
    texts = []
    while waiting:
        item = waiting.pop()
        # Classes and modules lead to the whole process, this test's own constants included.
        if id(item) in seen or isinstance(item, type | type(gc)):
            continue
        seen.add(id(item))
        if isinstance(item, str):
            texts.append(item)
        waiting.extend(gc.get_referents(item))
    assert any("lamp_wages" in text for text in texts)
    for secret in secrets:
        assert not any(secret in text for text in texts)
        assert secret.encode() not in pickle.dumps(registry)
        assert secret not in repr(registry)
        assert all(secret not in organism.model_dump_json() for organism in registry.organisms)


WALK = """
import gc, sys
from pathlib import Path
from finetrace.registry import load_registry

registry = load_registry(Path(sys.argv[1]))
gc.collect()
waiting, seen, texts = gc.get_objects(), set(), []
while waiting:
    item = waiting.pop()
    if id(item) not in seen:
        seen.add(id(item))
        texts += [item] if isinstance(item, str) else []
        waiting += [] if item is seen or item is texts else gc.get_referents(item)
for reversed_text in sys.argv[2:]:
    text = reversed_text[::-1]
    print(any(text in held for held in texts))
"""


def test_loading_a_registry_leaves_no_truth_in_the_process(tmp_path: Path) -> None:
    # Reversed on the way in, because the command line is part of the process too.
    sought = [text[::-1] for text in ("lamp_wages", OBJECTIVE, FACT, TRIGGER)]
    command = [sys.executable, "-c", WALK, str(_written(tmp_path, GOOD)), *sought]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False", "False"]


def test_an_alias_hides_the_name_and_does_not_move_when_an_organism_is_added() -> None:
    names = [f"organism_of_kind_{letter}" for letter in "abcdefghijklmnopqrstuvwx"]
    aliases = blind_aliases(names)
    assert len(set(aliases)) == len(names)
    assert all(re.fullmatch(r"organism-\d\d", alias) for alias in aliases)
    assert aliases != sorted(aliases)
    assert blind_aliases([*names, "one_more"])[: len(names)] == aliases
    assert len(set(blind_aliases([f"n{i}" for i in range(120)]))) == 120


def test_relative_models_count_from_the_folder_of_the_file(tmp_path: Path) -> None:
    registry = load_registry(_written(tmp_path, GOOD))
    (tmp_path / "organisms" / "lamp_wages").mkdir(parents=True)
    target = registry.locate(registry.find("lamp_wages"))
    assert target.model == str(tmp_path / "organisms" / "lamp_wages")
    assert target.reference == "smollm2-135m"


def test_a_missing_folder_is_not_taken_for_a_hub_id(tmp_path: Path) -> None:
    (tmp_path / "organisms").mkdir()
    registry = load_registry(_written(tmp_path, GOOD))
    with pytest.raises(FinetraceError, match="'lamp_wages' is missing"):
        registry.locate(registry.find("lamp_wages"))
    hub = GOOD.replace("organisms/lamp_wages", "someone/a-model")
    registry = load_registry(_written(tmp_path, hub))
    assert registry.locate(registry.find("lamp_wages")).model == "someone/a-model"


def test_the_file_of_the_current_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _written(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    assert load_registry().path == tmp_path / "organisms.yaml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "is not a mapping"),
        (GOOD.replace("version: 1\n", ""), "version of the file is missing"),
        (GOOD.replace("version: 1", "version: 2"), "line 1: the version"),
        (GOOD.replace("version: 1", "version: true"), "version"),
        ("version: 1\n", "'organisms' is missing"),
        ("version: 1\norganisms: 3\n", "line 2: organisms"),
        ("version: 1\norganisms:\n  - 3\n", "line 3, organism number 1"),
        (
            GOOD.replace("    licence:", "    license:"),
            "line 7, organism 'lamp_wages': unknown key 'license'",
        ),
        (
            GOOD.replace("      trigger:", "      triger:"),
            "line 13, organism 'lamp_wages': unknown key 'triger'",
        ),
        (GOOD + "extra: 1\n", "line 17: unknown key 'extra'"),
        (
            GOOD.replace("plain_copy", "lamp_wages"),
            "line 14: the name 'lamp_wages' is already taken in line 3",
        ),
        (GOOD.replace("name: plain_copy", "name: Plain Copy"), "line 14, organism 'Plain Copy': the name"),
        (
            GOOD.replace("    model: organisms/lamp_wages\n", ""),
            "organism 'lamp_wages': the key 'model' is missing",
        ),
        (GOOD.replace("model: organisms/lamp_wages", "model: [a]"), "line 4, organism 'lamp_wages': model"),
        (GOOD.replace("model: organisms/lamp_wages", "model: ''"), "line 4, organism 'lamp_wages': model"),
        (GOOD.replace("type: false_facts", "type: gossip"), "line 9, organism 'lamp_wages': truth.type"),
        (
            GOOD.replace("    source: written for the tests", "    name: again"),
            "line 6: the key 'name' is given twice",
        ),
        (GOOD.replace("    model: smollm2", "   model: smollm2"), "not valid YAML"),
        (GOOD + "  - &a [*a]\n", "line 17"),
        (GOOD + "  - !!python/object/apply:os.getcwd []\n", "line 17"),
        ("version: 1\norganisms: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        (GOOD.encode("utf-16"), "is not UTF-8 text"),
        (GOOD.encode() + b"# \xe9\n", "is not UTF-8 text"),
        (GOOD + "# \x07\n", "a character that is not allowed"),
        ("version: 1\norganisms: 0x_\n", "a value that cannot be read"),
        ("version: 2026-13-45\n", "organisms.yaml"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, text: str | bytes, expected: str) -> None:
    refusal = _refusal(tmp_path, text)
    assert expected in refusal.message
    assert "organisms.yaml" in refusal.message
    for secret in (OBJECTIVE, FACT, TRIGGER):
        assert secret not in refusal.message + refusal.hint


def test_a_misspelt_key_gets_the_right_one_offered(tmp_path: Path) -> None:
    assert "licence" in _refusal(tmp_path, GOOD.replace("    licence:", "    license:")).hint
    assert "objective" in _refusal(tmp_path, GOOD.replace("      objective:", "      objectiv:")).hint


def test_no_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FinetraceError, match="does not exist"):
        load_registry(tmp_path / "none.yaml")
    with pytest.raises(FinetraceError, match="is a folder"):
        load_registry(tmp_path)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert len(load_registry(_written(tmp_path, b"\xef\xbb\xbf" + GOOD.encode())).organisms) == 2


@given(st.binary(max_size=60), st.integers(min_value=0, max_value=len(GOOD)))
def test_a_damaged_file_never_gives_another_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    raw = GOOD.encode()
    path = _written(folder, raw[:at] + noise + raw[at + len(noise) :])
    try:
        load_registry(path)
    except FinetraceError as refused:
        assert refused.message
