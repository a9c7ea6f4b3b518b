from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Command, Ended

from finetrace.cli import main
from finetrace.store import Store


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("FINETRACE_DATABASE_URL", "FINETRACE_DEBUG", "FINETRACE_ORGANISMS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FINETRACE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture
def store(data_dir: Path) -> Store:
    return Store()


@pytest.fixture
def finetrace(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process, through the function behind the console script."""

    def command(*arguments: str) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else int(bool(code)), printed.out, printed.err)

    return command
