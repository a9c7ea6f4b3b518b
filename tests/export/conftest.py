from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("FINETRACE_DATABASE_URL", raising=False)
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / "data"))
    return Store()
