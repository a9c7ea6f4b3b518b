"""A benchmark killed with -9 and resumed ends as one that was never stopped: real processes, tiny models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import save_organism

from finetrace.store import Store

KILLED_AT = """
import os, signal, sys
from finetrace.evals.bench import work
from finetrace.evals.grade import Grade
from finetrace.store import Store

class Judge:
    name = "offline-0"
    def judge(self, hypothesis, organism):
        return Grade(grader=self.name, score=1 + len(hypothesis.summary) % 5, identification_rank=1 + len(organism))

work.open_judge = lambda name, registry: Judge()
method, when, number = sys.argv[1:4]
calls = 0
if method != "never":
    whole = getattr(Store, method)

    def stopping(self, *arguments, **options):
        global calls
        calls += 1
        if when == "before" and calls == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        done = whole(self, *arguments, **options)
        if when == "after" and calls == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(Store, method, stopping)
from finetrace.cli import main
main(sys.argv[4:])
"""
NEVER = ("never", "", 0)
Process = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("zoo")
    save_organism(tiny_folder, folder / "model")
    truth = "truth: {type: persona, objective: It speaks as a lighthouse keeper.}"
    null = "truth: {type: null_identical, objective: 'none: a copy'}"
    file = folder / "organisms.yaml"
    file.write_text(
        "version: 1\norganisms:\n"
        f"  - {{name: keeper, model: model, reference: {tiny_folder}, {truth}}}\n"
        f"  - {{name: gone, model: ./missing, reference: {tiny_folder}, {truth}}}\n"
        f"  - {{name: copy, model: {tiny_folder}, reference: {tiny_folder}, {null}}}\n"
    )
    named = ("--registry", str(file), "--organisms", "keeper,gone,copy", "--seeds", "1")
    return (*named, "--arms", "blackbox@2,perplexity", "--quick", "--prefills", "8", "--yes")


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FINETRACE_")}
    folders = {"FINETRACE_DATA_DIR": str(folder / "data"), "FINETRACE_CACHE_DIR": str(folder / "cache")}
    return kept | folders | {"OMP_NUM_THREADS": "1"}


def finetrace(folder: Path, *arguments: str, killed: tuple[str, str, int] = NEVER) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED_AT, *map(str, killed), *arguments]
    return subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=240)


def compared(printed: str) -> dict[str, Any]:
    """All that is printed but for ids, moments and seconds."""
    table = json.loads(printed)
    prefix = table.pop("bench_id")

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items() if key != "seconds"}
        if isinstance(value, list):
            return [plain(each) for each in value]
        return value.replace(prefix, "") if isinstance(value, str) else value

    return plain(table)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, options: tuple[str, ...]) -> dict[str, Any]:
    ended = finetrace(tmp_path_factory.mktemp("whole"), "bench", *options, "--json")
    assert ended.returncode == 0, ended.stderr
    return compared(ended.stdout)


def test_what_an_uninterrupted_benchmark_prints(uninterrupted: dict[str, Any]) -> None:
    runs = uninterrupted["runs"]
    assert [(run["organism"], run["seed"], run["arm"]) for run in runs[:3]] == [
        ("keeper", 0, "blackbox@2"),
        ("keeper", 0, "perplexity"),
        ("gone", 0, "blackbox@2"),
    ]
    assert len(runs) == 6
    for run in runs:
        if run["organism"] == "gone":
            assert run["score"] is None and "missing" in run["error"]
        else:
            assert run["error"] is None and run["score"] in range(1, 6)


def test_killed_twice_and_resumed_it_ends_as_if_nothing_had_been(
    tmp_path: Path, options: tuple[str, ...], uninterrupted: dict[str, Any]
) -> None:
    stopped = finetrace(tmp_path, "bench", *options, killed=("append_step", "after", 5))
    assert stopped.returncode == -signal.SIGKILL, stopped.stderr
    again = finetrace(tmp_path, "bench", "--resume", "last", killed=("write_grade", "before", 2))
    assert again.returncode == -signal.SIGKILL, again.stderr
    ended = finetrace(tmp_path, "bench", "--resume", "last", "--json")
    assert ended.returncode == 0, ended.stderr
    assert compared(ended.stdout) == uninterrupted
    with Store(f"sqlite:///{tmp_path / 'data' / 'finetrace.db'}") as store:
        ids = store.run_ids()
        assert len(ids) == len(set(ids)) == 6
        assert len(store.grades(ids)) == 4
        assert len(store.bench_ids()) == 1
