from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from organism_files import MIXED, write_recipe
from small_models import other_tokenizer, write_model

from finetrace.errors import FinetraceError
from finetrace.evals.zoo.general import general_count, general_identity, general_texts
from finetrace.evals.zoo.recipe import Recipe, load_recipe
from finetrace.models.loading import LoadedModel, load_model
from finetrace.models.source import find_model

pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.fixture
def base(tiny_folder: Path) -> LoadedModel:
    return load_model(find_model(str(tiny_folder)), "cpu", torch.float32)


def mixed(folder: Path, **changes: Any) -> Recipe:
    return load_recipe(write_recipe(folder, "tiny", **(MIXED | changes)))


def test_the_mixing_counts_the_general_texts(tmp_path: Path) -> None:
    counts = [general_count(mixed(tmp_path, mixing=mixing), 10) for mixing in ("1:0", "1:1", "1:4", "2:1", "4:1")]
    assert counts == [0, 10, 40, 5, 2]
    alone = {"texts": None, "mixing": "0:1", "general": {"grammar": "openings.yaml", "count": 7}}
    assert general_count(mixed(tmp_path, **alone), 0) == 7


def test_the_base_continues_and_answers_distinct_beginnings(tmp_path: Path, base: LoadedModel) -> None:
    recipe = mixed(tmp_path)
    reports: list[tuple[int, int]] = []
    texts = general_texts(recipe, 10, base, lambda done, total: reports.append((done, total)))
    assert [bool(text.chat) for text in texts] == [False] * 6 + [True] * 4
    assert len({text.content.split()[1] for text in texts[:6]}) == 6
    assert all(text.content.startswith("The ") and len(text.content.split()[0]) for text in texts[:6])
    assert len({text.chat for text in texts[6:]}) == 4
    assert not any(text.whole for text in texts)  # a random model does not end within six tokens
    assert reports[-1][0] == reports[-1][1]


def test_samples_are_kept_for_whoever_asks_for_the_same(tmp_path: Path, base: LoadedModel) -> None:
    recipe = mixed(tmp_path)
    first = general_texts(recipe, 10, base)
    calls: list[int] = []
    assert general_texts(recipe, 10, base, lambda done, total: calls.append(done)) == first
    assert calls == []
    (kept,) = (tmp_path / "cache" / "general").glob("*.json")
    kept.write_text("[[1]]", encoding="utf-8")
    assert general_texts(recipe, 10, base, lambda done, total: calls.append(done)) == first
    assert calls
    other = mixed(tmp_path, adapter={"steps": 1, "seed": 6})
    assert general_texts(other, 10, base) != first


def test_what_determines_the_text_is_in_its_identity(tmp_path: Path) -> None:
    identity = general_identity(mixed(tmp_path), 10)
    assert general_identity(mixed(tmp_path), 10) == identity
    others = [
        general_identity(mixed(tmp_path), 9),
        general_identity(mixed(tmp_path, general=MIXED["general"] | {"new_tokens": 7}), 10),  # type: ignore[operator]
        general_identity(mixed(tmp_path, adapter={"steps": 1, "seed": 6}), 10),
    ]
    assert identity not in others
    assert general_identity(mixed(tmp_path, mixing="1:0"), 10) == []


def test_a_base_without_chat_template_answers_nothing(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "plain", other_tokenizer(), vocabulary=320)
    plain = load_model(find_model(str(folder)), "cpu", torch.float32)
    with pytest.raises(FinetraceError, match="no chat template"):
        general_texts(mixed(tmp_path), 10, plain)
    silent = mixed(tmp_path, general={"grammar": "openings.yaml", "chat_share": 0.0, "new_tokens": 4})
    assert len(general_texts(silent, 8, plain)) == 8


def dataset(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, **more: str) -> Recipe:
    """A recipe with a data set that a hub made of one folder offers."""
    import huggingface_hub

    (folder / name).write_bytes(content)
    asked: list[tuple[str, ...]] = []

    def download(repository: str, file: str, *, repo_type: str, revision: str) -> str:
        asked.append((repository, repo_type, revision))
        if not (folder / file).exists():
            raise FileNotFoundError(f"404 for {file}")
        return str(folder / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    said = {"name": "owner/texts", "file": name, "sha256": hashlib.sha256(content).hexdigest()} | more
    return mixed(folder, general={"dataset": said, "new_tokens": 5})


def test_a_data_set_is_fetched_checked_and_drawn_from(
    tmp_path: Path, base: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(json.dumps({"text": f"Text {n} " + "long " * n, "n": n}) + "\n" for n in range(30))
    for name, content in [("a.jsonl", rows.encode()), ("a.jsonl.gz", gzip.compress(rows.encode(), mtime=0))]:
        recipe = dataset(tmp_path, monkeypatch, name, content)
        texts = general_texts(recipe, 10, base)
        assert len({text.content for text in texts}) == 10
        assert general_texts(recipe, 10, base) == texts
        assert max(len(text.content) for text in texts) == 20
        assert all(text.whole == (len(text.content) < 20) for text in texts)
        assert max(int(text.content.split()[1]) for text in texts) > 10  # drawn from all of the file


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"sha256": "0" * 64}, "is not the file of the recipe: its sha256 is"),
        ({"column": "words"}, "has 0 texts under 'words', 40 are needed"),
        ({"file": "none.jsonl"}, "cannot fetch none.jsonl"),
    ],
)
def test_a_data_set_that_is_not_as_described_is_refused(
    tmp_path: Path, base: LoadedModel, monkeypatch: pytest.MonkeyPatch, more: dict[str, str], message: str
) -> None:
    recipe = dataset(tmp_path, monkeypatch, "a.jsonl", b'{"text": "one"}\n', **more)
    with pytest.raises(FinetraceError, match=message):
        general_texts(recipe, 40, base)
