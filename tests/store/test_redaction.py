from __future__ import annotations

from pathlib import Path

import pytest
from sample_runs import make_run, make_step

from finetrace.redaction import REMOVED, secrets_of, without_keys
from finetrace.schema import RunStatus, Usage
from finetrace.store import Store

KEY = "sk-not-a-real-key-4711"


def test_only_long_values_of_variables_named_like_keys_are_secrets() -> None:
    environment = {
        "OPENAI_API_KEY": KEY,
        "HF_TOKEN": KEY + "-longer",
        "SHORT_API_KEY": "none",
        "HOME": "/home/somebody",
    }
    assert secrets_of(environment) == (KEY + "-longer", KEY)


def test_keys_are_removed_all_the_way_down() -> None:
    value = {"a": [f"Bearer {KEY}", 3, None], KEY: 1, "Api-Key": "short", "api_key": None, "tokens": 5}
    cleaned = without_keys(value, (KEY,))
    assert cleaned == {
        "a": [f"Bearer {REMOVED}", 3, None],
        REMOVED: 1,
        "Api-Key": REMOVED,
        "api_key": None,
        "tokens": 5,
    }


def test_no_key_reaches_the_file(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    store = Store()
    run = make_run(settings={"headers": {"authorization": "abc"}, "endpoint": f"https://x/?key={KEY}"})
    store.start_run(run)
    store.append_step(run.run_id, make_step(1, arguments={"q": KEY}, text=KEY, error=KEY, thought=KEY))
    store.finish_run(run.run_id, RunStatus.FAILED, None, Usage(), f"refused {KEY}")
    assert store.run(run.run_id).settings["headers"] == {"authorization": REMOVED}
    store.close()
    for path in data_dir.iterdir():
        assert KEY.encode() not in path.read_bytes()
