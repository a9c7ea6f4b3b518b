from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import torch
from small_hub import Repository, running_hub
from small_models import write_adapter

from finetrace.errors import FinetraceError
from finetrace.models.embedded import EMBEDDED_NAME
from finetrace.models.source import SourceKind, check_safetensors, find_model, read_json


def refusal(name: str | Path, beside: Path | None = None) -> FinetraceError:
    with pytest.raises(FinetraceError) as caught:
        find_model(str(name), beside)
    error = caught.value
    assert error.message and "\n" not in error.message
    assert error.hint and "\n" not in error.hint
    return error


@pytest.fixture
def model(tmp_path: Path, tiny_folder: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def test_a_folder_an_adapter_and_the_embedded_base_are_told_apart(
    tmp_path: Path, model: Path, own_folders: Path
) -> None:
    adapter = write_adapter(tmp_path / "adapter", model)
    assert find_model(str(model)).kind is SourceKind.FOLDER
    found = find_model("adapter", tmp_path)
    assert (found.kind, found.base) == (SourceKind.ADAPTER, str(model))
    assert found.path == str(adapter)
    assert find_model(EMBEDDED_NAME).kind is SourceKind.FOLDER


def test_an_adapter_whose_config_names_no_base_has_none(tmp_path: Path, model: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", model)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": None}))
    assert find_model(str(adapter)).base is None


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "last.ckpt", "model.pkl"])
def test_a_folder_with_pickled_weights_only_is_refused_with_the_reason(model: Path, name: str) -> None:
    (model / "model.safetensors").unlink()
    torch.save({"weight": torch.zeros(2)}, model / name)
    error = refusal(model)
    assert name in error.message and "pickle" in error.message and "run code" in error.message
    assert "safetensors" in error.hint


def test_a_pickled_adapter_and_a_lone_pickle_are_refused(tmp_path: Path, model: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", model)
    (adapter / "adapter_model.safetensors").unlink()
    torch.save({}, adapter / "adapter_model.bin")
    assert "adapter_model.bin is a pickle" in refusal(adapter).message
    torch.save({}, tmp_path / "model.pt")
    assert "model.pt is a pickle" in refusal(tmp_path / "model.pt").message


def test_safetensors_beside_a_pickle_are_taken(model: Path) -> None:
    torch.save({}, model / "pytorch_model.bin")
    assert find_model(str(model)).kind is SourceKind.FOLDER


@pytest.mark.parametrize("kept", [0, 4, 100, 100_000])
def test_truncated_safetensors_are_refused(model: Path, kept: int) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    error = refusal(model)
    assert "model.safetensors is damaged" in error.message
    assert "download it again" in error.hint


def test_a_damaged_embedded_base_says_which_folder_to_delete(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (model / "model.safetensors").write_bytes(b"short")
    monkeypatch.setattr("finetrace.models.source.embedded_base", lambda: model)
    assert str(model) in refusal(EMBEDDED_NAME).hint


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"<html>not found</html>")
    assert "is not a GGUF file" in refusal(file).message


def test_of_several_gguf_files_one_must_be_named(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    assert "a.gguf" in refusal(tmp_path).hint
    (tmp_path / "b.gguf").unlink()
    assert find_model(str(tmp_path)).kind is SourceKind.GGUF


def test_a_folder_without_a_model_and_a_file_that_is_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    assert "holds no model" in refusal(tmp_path).message
    assert "is a file" in refusal(tmp_path / "notes.txt").message


def test_a_path_that_is_not_there_offers_the_nearest_name(model: Path) -> None:
    error = refusal("./modle", model.parent)
    assert "./modle" in error.message
    assert "model" in error.hint


@pytest.mark.parametrize("name", ["./" + "x" * 5000, "x" * 300, "~nobody-of-that-name/model", "\0model", "./a\nb"])
def test_a_name_that_can_be_no_path_is_an_error_of_the_user(name: str) -> None:
    assert refusal(name).message


@pytest.mark.parametrize("name", ["gpt2", "nobody/no-such-model"])
def test_a_hub_id_without_network_is_refused_and_nothing_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*args: object, **kwargs: object) -> None:
        raise httpx.ConnectError("[Errno -2] Name or service not known")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.file_exists", no_network)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", no_network)
    error = refusal(name)
    assert f"cannot find '{name}' on the hub" in error.message and "not known" in error.message
    assert "network" in error.hint and EMBEDDED_NAME in error.hint
    assert not (tmp_path / "hub").exists()


SUBFOLDER_SCRIPT = """
import sys
from finetrace.models.source import find_model
for name in sys.argv[1:]:
    found = find_model(name)
    print(found.kind, found.base, found.path.endswith("/moods/happy") or found.path.endswith("/whole"))
"""


def test_a_model_in_a_subfolder_of_a_hub_repository_is_fetched_alone_and_found_again(
    tmp_path: Path, tiny_folder: Path
) -> None:
    adapter = write_adapter(tmp_path / "adapter", tiny_folder)
    files = {f"moods/happy/{path.name}": path.read_bytes() for path in adapter.iterdir()}
    files |= {f"whole/{path.name}": path.read_bytes() for path in tiny_folder.iterdir()}
    files["moods/sad/adapter_model.safetensors"] = b"not asked for"
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", SUBFOLDER_SCRIPT, "zoo/moods:moods/happy", "zoo/moods:whole"]
    expected = f"adapter {tiny_folder} True\nfolder None True\n"
    with running_hub({"zoo/moods": Repository(files)}) as hub:
        environment["HF_ENDPOINT"] = hub.address
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        assert done.stdout == expected
        assert not any("moods/sad" in path for path in hub.asked)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == expected


def test_a_subfolder_cannot_lead_out_of_its_repository() -> None:
    assert "leads out" in refusal("zoo/moods:../other").message


def test_a_name_that_is_neither_path_nor_hub_id_is_refused() -> None:
    assert "neither a path nor a hub id" in refusal("a model, please").message


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_json_that_is_no_object_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content)
    with pytest.raises(FinetraceError) as caught:
        read_json(file)
    assert "\n" not in caught.value.message


def test_shapes_are_read_without_the_weights(model: Path) -> None:
    assert check_safetensors(model / "model.safetensors")["model.embed_tokens.weight"] == (49152, 32)
