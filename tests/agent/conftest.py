from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import Desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FINETRACE_CACHE_DIR", str(tmp_path / "cache"))
    made = Desk(tmp_path, monkeypatch)
    yield made
    made.store.close()
