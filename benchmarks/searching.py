"""How fast a large store answers: a store of many made-up runs, searched, listed, read from and added to.

The texts are random words, as common as words are in English (by rank, after Zipf), in readings as long as real ones.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from finetrace.schema import Claim, ClaimKind, Evidence, Hypothesis, Run, RunStatus, Step, StepKind, Usage, Verdict
from finetrace.store import RunFilter, Store
from finetrace.store.query import parse_query

WORDS = 30_000
RARE = "quincewright"
"""In one run of a hundred."""
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
_SYLLABLES = [f"{c}{v}" for c in "bdfgklmnprstvz" for v in "aeiou"]


class Writer:
    """Makes up texts; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        draw = random.Random(0)
        self._words = ["".join(draw.choices(_SYLLABLES, k=1 + rank % 4 + rank // 8000)) for rank in range(WORDS)]
        total = 0.0
        self._weights = [total := total + 1 / (rank + 3) for rank in range(WORDS)]

    def text(self, words: int) -> str:
        """So many words."""
        return " ".join(self._random.choices(self._words, cum_weights=self._weights, k=words))


def fill(store: Store, runs: int, steps: int, words: int) -> None:
    """Put so many runs into an empty store, each with so many steps of so many words."""
    writer = Writer(1)
    for number in range(runs):
        run_id = f"run-{number:06d}"
        store.start_run(_run(run_id, number))
        for step in range(1, steps + 1):
            store.append_step(run_id, make_step(writer, step, words, rare=number % 100 == 7 and step == 2))
        store.finish_run(run_id, RunStatus.FINISHED, _answer(writer), Usage(interactions=50))


def make_step(writer: Writer, number: int, words: int, *, rare: bool = False) -> Step:
    """A step whose reading holds twice as much as was shown of it."""
    shown = writer.text(words) + (f" {RARE}" if rare else "")
    rows = [{"completion": writer.text(20), "log_ratio": 1.5} for _ in range(words // 20)]
    moment = BEGUN + timedelta(seconds=number)
    return Step(
        number=number,
        kind=StepKind.CALL,
        thought=writer.text(12),
        instrument="perplexity_gap",
        arguments={"k": 5},
        reading={"instrument": "perplexity_gap", "top": rows},
        text=shown,
        usage=Usage(interactions=5, seconds=1.5),
        started_at=moment,
        finished_at=moment,
    )


def _run(run_id: str, number: int) -> Run:
    return Run(
        run_id=run_id,
        organism=f"organism_{number % 40}",
        alias="organism-07",
        arm=("blackbox", "perplexity", "activation", "full")[number % 4],
        investigator="statistical",
        seed=number // 160,
        status=RunStatus.RUNNING,
        target={"model": "m"},
        settings={},
        version="0.1.0",
        started_at=BEGUN + timedelta(minutes=number),
    )


def _answer(writer: Writer) -> Hypothesis:
    claim = Claim(
        statement=writer.text(12), kind=ClaimKind.FACT, confidence=0.5, evidence=(Evidence(step=1, quote="x"),)
    )
    return Hypothesis(verdict=Verdict.FINETUNED, summary=writer.text(30), claims=(claim,))


def measure(store: Store, runs: int, repeats: int) -> dict[str, float]:
    """Median seconds of each question, the store open."""
    common = Writer(2)._words[0]
    middle = Writer(2)._words[3000]
    questions: dict[str, Callable[[], Any]] = {
        "a rare word": lambda: store.search(parse_query(RARE)),
        "a common word": lambda: store.search(parse_query(common)),
        "two words": lambda: store.search(parse_query(f"{common} {middle}")),
        "a phrase of common words": lambda: store.search(parse_query(f'"{common} {common}"')),
        "the beginning of a word": lambda: store.search(parse_query(f"{RARE[:5]}*")),
        "a word that is nowhere": lambda: store.search(parse_query("xylophone")),
        "a rare word in one organism": lambda: store.search(parse_query(RARE), chosen=RunFilter(organism="organism_7")),
        "newest 50 runs": lambda: store.runs(limit=50),
        "runs of one organism": lambda: store.runs(RunFilter(organism="organism_7", arm="full")),
        "all runs": lambda: store.runs(),
        "one run": lambda: store.steps(f"run-{runs // 2:06d}"),
    }
    return {name: _median(question, repeats) for name, question in questions.items()}


def _median(question: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        question()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=8, help="of each run")
    parser.add_argument("--words", type=int, default=400, help="shown in each step; its reading holds as many again")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to keep the store; a filled one is not filled again")
    parser.add_argument("--url", help="address of an empty database instead, such as one of PostgreSQL")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = (options.folder or Path(scratch)) / "searching.db"
        figures: dict[str, float] = {}
        with Store(options.url or f"sqlite:///{path.absolute()}") as store:
            if not store.run_ids(1):
                began = time.perf_counter()
                fill(store, options.runs, options.steps, options.words)
                figures["written, per step"] = (time.perf_counter() - began) / (options.runs * options.steps)
            figures |= measure(store, options.runs, options.repeats)
        if path.exists():
            figures["megabytes"] = path.stat().st_size / 1e6
    if options.json:
        json.dump(figures, sys.stdout, indent=2)
        return
    for name, value in figures.items():
        print(f"{name:30} {value:10.0f}" if name == "megabytes" else f"{name:30} {value * 1000:10.1f} ms")


if __name__ == "__main__":
    main()
