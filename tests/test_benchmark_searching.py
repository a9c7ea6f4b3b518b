"""What `benchmarks.searching` fills a store with can be found as it says."""

from __future__ import annotations

from pathlib import Path

from benchmarks.searching import RARE, fill, measure
from finetrace.store import Store
from finetrace.store.query import parse_query


def test_a_made_up_store_answers_every_question(tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path / 'made-up.db'}") as store:
        fill(store, runs=110, steps=2, words=20)
        found = store.search(parse_query(RARE))
        assert [(hit.run.run_id, hit.step.number) for hit in found] == [("run-000107", 2), ("run-000007", 2)]
        figures = measure(store, runs=110, repeats=1)
    assert "a rare word in one organism" in figures and all(seconds > 0 for seconds in figures.values())
