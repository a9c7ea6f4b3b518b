from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.store import Store


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FINETRACE_DATABASE_URL", raising=False)
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FINETRACE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture
def store(data_dir: Path) -> Store:
    return Store()
