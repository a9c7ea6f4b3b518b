from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import SafetensorError

from finetrace.errors import FinetraceError
from finetrace.models import embedded
from finetrace.models.embedded import converted_path, embedded_base, gguf_path

CONVERT_SLOWLY = """
import sys, time
from finetrace.models import embedded

def stand_in(source, folder):
    with open(sys.argv[1], "a") as calls:
        print(folder, file=calls)
    (folder / "model.safetensors").write_text("half")
    time.sleep(float(sys.argv[2]))
    (folder / "model.safetensors").write_text("whole")
    (folder / "config.json").write_text("{}")

embedded._dequantise = stand_in
base = embedded.embedded_base()
assert (base / "model.safetensors").read_text() == "whole"
print(base)
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETRACE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def start(calls: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CONVERT_SLOWLY, str(calls), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_over() -> list[Path]:
    """Everything beside the converted base and its lock."""
    target = converted_path()
    return [path for path in target.parent.iterdir() if path not in (target, target.with_suffix(".lock"))]


def stand_in(source: Path, folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def test_two_processes_at_once_convert_once(cache: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    processes = [start(calls, 1.0) for _ in range(2)]
    results = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert {out.strip() for out, _ in results} == {str(converted_path())}
    assert len(calls.read_text().splitlines()) == 1
    assert left_over() == []


def test_a_killed_conversion_leaves_no_base_and_the_next_one_clears_up(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    process = start(calls, 600)
    try:
        until = time.monotonic() + 60
        while not (calls.is_file() and any(converted_path().parent.glob(".*/model.safetensors"))):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert not converted_path().exists()
    assert len(left_over()) == 1
    monkeypatch.setattr(embedded, "_dequantise", stand_in)
    assert (embedded_base() / "config.json").is_file()
    assert left_over() == []


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left"), SafetensorError("I/O error")])
def test_an_interrupted_conversion_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    def broken(source: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_text("half")
        raise fault

    monkeypatch.setattr(embedded, "_dequantise", broken)
    with pytest.raises(KeyboardInterrupt if isinstance(fault, KeyboardInterrupt) else FinetraceError):
        embedded_base()
    assert not converted_path().exists()
    assert left_over() == []


def test_a_folder_that_lost_its_config_is_made_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted_path().mkdir(parents=True)
    (converted_path() / "model.safetensors").write_text("half")
    monkeypatch.setattr(embedded, "_dequantise", stand_in)
    assert [path.name for path in embedded_base().iterdir()] == ["config.json"]


def test_a_converted_base_is_not_converted_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_dequantise", stand_in)
    first = embedded_base()
    monkeypatch.setattr(embedded, "gguf_path", lambda: pytest.fail("looked for the wheel"))
    assert embedded_base() == first


def test_a_damaged_wheel_is_refused_before_anything_is_written(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "damaged.gguf").write_bytes(b"GGUF and nothing else")
    monkeypatch.setattr(embedded, "gguf_path", lambda: tmp_path / "damaged.gguf")
    with pytest.raises(FinetraceError, match="is damaged: its sha256 is") as caught:
        embedded_base()
    assert "reinstall" in caught.value.hint
    assert not converted_path().exists() and left_over() == []


def test_a_missing_wheel_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FinetraceError, match="not installed") as caught:
        gguf_path()
    assert "make setup" in caught.value.hint


def test_an_unwritable_cache_is_an_error_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FINETRACE_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(FinetraceError, match="cannot write the converted base") as caught:
        embedded_base()
    assert "FINETRACE_CACHE_DIR" in caught.value.hint
