"""A benchmark killed with -9 and resumed ends as one that was never stopped: real processes, tiny models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import killed_benches
import pytest
from killed_benches import Command, Done, Kill
from scripted import save_organism

from finetrace.store import Store

MOMENTS = (
    Kill("start_run", "after", 1),
    Kill("append_step", "after", 3),
    Kill("finish_run", "before", 1),
    Kill("write_grade", "before", 1),
    Kill("write_grade", "after", 1),
)
"""Each counts from where the one before was killed; every write there is: tests/evals/test_bench_resume.py."""
RESUME = ("bench", "--resume", "last")


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


def carried_out(folder: Path, commands: Sequence[Command]) -> list[Done]:
    """Each in a process of its own, one after the other."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FINETRACE_")}
    here = str(Path(killed_benches.__file__).parent)
    ended = subprocess.run(
        [sys.executable, killed_benches.__file__],
        env=kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": here},
        input=json.dumps({"folder": str(folder), "commands": commands}),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr
    return [Done(*done) for done in json.loads(ended.stdout)]


class Benches:
    """Three of the same settings: one never stopped, one killed time and again, one killed with two processes at it."""

    def __init__(self, folder: Path, options: tuple[str, ...]) -> None:
        self.folder = folder
        begin = ("bench", *options)
        last = (*RESUME, "--json")
        lines = [begin, *[RESUME] * (len(MOMENTS) - 1)]
        killed = [Command("killed", line, moment) for line, moment in zip(lines, MOMENTS, strict=True)]
        both = Command("both", (*begin, "--workers", "2"), Kill("append_step", "seen", 3))
        commands = [Command("whole", (*begin, "--json")), *killed, Command("killed", last), both, Command("both", last)]
        self.whole, *self.stops, self.killed, self.stopped, self.both = carried_out(folder, commands)

    def store(self, user: str) -> Store:
        return Store(f"sqlite:///{self.folder / user / 'data' / 'finetrace.db'}")


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory, options: tuple[str, ...]) -> Benches:
    return Benches(tmp_path_factory.mktemp("benches"), options)


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


def test_what_an_uninterrupted_benchmark_prints(benches: Benches) -> None:
    assert benches.whole.code == 0, benches.whole.err
    runs = json.loads(benches.whole.out)["runs"]
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


def test_killed_at_every_kind_of_write_it_ends_as_if_nothing_had_been(benches: Benches) -> None:
    assert [stop.code for stop in benches.stops] == [-signal.SIGKILL] * len(MOMENTS), benches.stops
    assert benches.killed.code == 0, benches.killed.err
    assert compared(benches.killed.out) == compared(benches.whole.out)


def test_killed_with_two_processes_at_work_it_leaves_none_alive_and_ends_alike(benches: Benches) -> None:
    assert benches.stopped.code == -signal.SIGKILL, benches.stopped.err
    assert len(benches.stopped.workers) == 2 and not benches.stopped.left_alive
    assert benches.both.code == 0, benches.both.err
    assert compared(benches.both.out) == compared(benches.whole.out)


@pytest.mark.parametrize("user", ["whole", "killed", "both"])
def test_no_run_and_no_grade_is_lost_or_doubled(benches: Benches, user: str) -> None:
    with benches.store(user) as store:
        ids = store.run_ids()
        grades = store.grades(ids)
        assert len(ids) == len(set(ids)) == 6 and len(store.bench_ids()) == 1
        assert len(grades) == len({grade.run_id for grade in grades}) == 4
        for run_id in ids:
            numbers = [step.number for step in store.steps(run_id)]
            assert numbers == list(range(1, len(numbers) + 1))
