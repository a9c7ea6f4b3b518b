from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.errors import FinetraceError
from finetrace.settings import Price, get_settings, writable_folder


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


def test_prices_and_window_of_language_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETRACE_LLM_PRICES", "")
    monkeypatch.delenv("FINETRACE_LLM_WINDOW", raising=False)
    assert (get_settings().llm_prices, get_settings().llm_window) == ({}, None)
    monkeypatch.setenv("FINETRACE_LLM_PRICES", '{"openai/local": {"input": 0, "output": 2.5}}')
    monkeypatch.setenv("FINETRACE_LLM_WINDOW", "8192")
    settings = get_settings()
    assert settings.llm_prices == {"openai/local": Price(input=0, output=2.5)} and settings.llm_window == 8192
    assert not settings.llm_prices["openai/local"].free and Price(input=0, output=0).free


@pytest.mark.parametrize(
    ("prices", "fault"),
    [
        ("free", "no JSON: Expecting value"),
        ("[1]", "Input should be a valid dictionary"),
        ('{"openai/local": 3}', "openai/local: Input should be a valid dictionary"),
        ('{"openai/local": {"input": 1}}', "openai/local: output: Field required"),
        ('{"openai/local": {"input": -1, "output": 1}}', "openai/local: input: Input should be greater than"),
        ('{"openai/local": {"input": NaN, "output": 1}}', "openai/local: input: "),
        ('{"openai/local": {"input": 1, "output": 1, "cached": 1}}', "openai/local: cached: Extra inputs"),
    ],
)
def test_prices_in_no_form_are_refused_with_the_form(prices: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETRACE_LLM_PRICES", prices)
    with pytest.raises(FinetraceError) as refused:
        get_settings()
    assert f"FINETRACE_LLM_PRICES is not usable: {fault}" in refused.value.message
    assert '{"openai/local": {"input": 0, "output": 0}}' in refused.value.hint and "per million" in refused.value.hint


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WINDOW", "many"), ("WINDOW", "8"), ("WINDOW", "-1"), ("TIMEOUT", "0"), ("TIMEOUT", "inf"), ("TIMEOUT", "soon")],
)
def test_a_window_or_time_that_is_none_is_refused(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"FINETRACE_LLM_{variable}", value)
    with pytest.raises(FinetraceError, match=f"FINETRACE_LLM_{variable} is not usable"):
        get_settings()


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
