from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.errors import FinetraceError
from finetrace.settings import get_settings, writable_folder


def test_folders_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FINETRACE_CACHE_DIR", str(tmp_path / "cache"))
    settings = get_settings()
    assert settings.data_dir == tmp_path / "data"
    assert settings.cache_dir == tmp_path / "cache"
    assert settings.database_file.parent == settings.data_dir


def test_home_and_relative_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FINETRACE_DATA_DIR", "~/mine")
    monkeypatch.setenv("FINETRACE_CACHE_DIR", "here")
    settings = get_settings()
    assert settings.data_dir == tmp_path / "mine"
    assert settings.cache_dir == tmp_path / "here"


def test_an_unknown_device_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETRACE_DEVICE", "abacus")
    with pytest.raises(FinetraceError) as refused:
        get_settings()
    assert "FINETRACE_DEVICE" in refused.value.message
    assert "FINETRACE_DEVICE" in refused.value.hint


def test_the_database_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETRACE_DATABASE_URL", "postgresql://me:hush-hush@host/name")
    assert "hush" not in repr(get_settings())


def test_a_folder_below_a_file_is_refused_with_the_variable_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FinetraceError) as refused:
        writable_folder(tmp_path / "file" / "data", "data folder")
    assert "data folder" in refused.value.message
    assert "FINETRACE_DATA_DIR" in refused.value.hint
    with pytest.raises(FinetraceError) as refused:
        writable_folder(tmp_path / "file" / "cache", "cache folder")
    assert "FINETRACE_CACHE_DIR" in refused.value.hint


def test_a_writable_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = writable_folder(tmp_path / "a" / "b", "data folder")
    assert folder.is_dir()
    assert not list(folder.iterdir())
