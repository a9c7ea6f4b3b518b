from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Command
from sample_runs import make_run

from finetrace.store import Store

KEY = "sk-not-a-real-key-4711"


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "zoo.yaml"
    path.write_text("version: 1\norganisms: [{name: plain, model: smollm2-135m}]\n")
    return path


def test_everything_a_run_depends_on_is_reported(registry: Path, store: Store, finetrace: Command) -> None:
    store.start_run(make_run())
    ended = finetrace("doctor", "--json", "--organisms", str(registry))
    assert ended.code == 0
    found = json.loads(ended.out)
    assert found["usable"] is True
    assert found["compute"]["device"] in {"cpu", "cuda"}
    assert found["compute"]["dtype"] in {"float32", "bfloat16"}
    assert found["compute"]["torch"]
    assert found["machine"]["cores"] >= 1
    assert found["base"]["name"] == "smollm2-135m"
    assert found["base"]["sha256_ok"] is True
    assert (found["database"]["state"], found["database"]["runs"]) == ("ready", 1)
    assert (found["organisms"]["path"], found["organisms"]["number"]) == (str(registry), 1)


def test_keys_are_named_and_never_shown(registry: Path, finetrace: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("MY_OWN_API_KEY", KEY)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    told = finetrace("doctor", "--json", "--organisms", str(registry))
    keys = json.loads(told.out)["keys"]
    assert keys["OPENAI_API_KEY"] is True
    assert keys["MY_OWN_API_KEY"] is True
    assert keys["ANTHROPIC_API_KEY"] is False
    shown = finetrace("doctor", "--organisms", str(registry))
    assert "OPENAI_API_KEY" in shown.out
    assert KEY not in told.out + told.err + shown.out + shown.err


def test_looking_changes_nothing(registry: Path, tmp_path: Path, finetrace: Command) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert finetrace("doctor", "--organisms", str(registry)).code == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_what_stops_a_run_is_told_with_what_to_do(
    registry: Path, tmp_path: Path, finetrace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(registry / "data"))
    ended = finetrace("doctor", "--json", "--organisms", str(registry))
    assert ended.code == 2
    found = json.loads(ended.out)
    assert (found["usable"], found["data_dir"]["writable"]) == (False, False)
    (problem,) = [problem for problem in found["problems"] if problem["fatal"]]
    assert "data folder" in problem["what"]
    assert "FINETRACE_DATA_DIR" in problem["hint"]


def test_a_damaged_database_is_a_problem_and_stays(registry: Path, data_dir: Path, finetrace: Command) -> None:
    data_dir.mkdir()
    (data_dir / "finetrace.db").write_text("Dear diary")
    ended = finetrace("doctor", "--organisms", str(registry))
    assert ended.code == 2
    assert "not a SQLite database" in ended.out
    assert (data_dir / "finetrace.db").read_text() == "Dear diary"


def test_a_missing_organism_is_told_and_stops_nothing(tmp_path: Path, finetrace: Command) -> None:
    (tmp_path / "organisms").mkdir()
    path = tmp_path / "zoo.yaml"
    path.write_text("version: 1\norganisms: [{name: gone, model: organisms/gone}]\n")
    ended = finetrace("doctor", "--json", "--organisms", str(path))
    assert ended.code == 0
    (problem,) = json.loads(ended.out)["problems"]
    assert "'gone' is missing" in problem["what"]


def test_a_setting_that_is_not_allowed_is_named(
    registry: Path, finetrace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETRACE_DEVICE", "abacus")
    ended = finetrace("doctor", "--organisms", str(registry))
    assert (ended.code, ended.out) == (2, "")
    assert "FINETRACE_DEVICE" in ended.err
