"""What the benchmark of the mean activation difference reports, from made-up figures, and that both ways agree."""

from __future__ import annotations

import pytest
import torch

from benchmarks.activation import agreement, compared, report
from benchmarks.mean_ways import PLAIN_BATCH, Way
from benchmarks.peak_memory import Peak

OURS = Way(True, 100, "bfloat16")
SMALL, LARGE = Way(False, 32, "bfloat16"), Way(False, 100, "bfloat16")
BARE = Way(False, 32, "bfloat16", all_logits=False)

TIMES = {
    "ours": [1.0, 2.0, 1.0],
    "plain_32": [3.0, 4.0, 2.5],
    "plain_100": [2.0, 9.0, 2.0],
    "plain_last_logits_32": [1.5, 3.0, 1.5],
}
PEAKS = {
    "ours": [Peak(300, 10, 700), Peak(300, 12, 700), Peak(300, 8, 690)],
    "plain_32": [Peak(500, 100, 1000), Peak(500, 100, 1000), Peak(500, 100, 1000)],
    "plain_100": [Peak(500, 400, 1300), Peak(500, 400, 1300), Peak(500, 400, 1300)],
    "plain_last_logits_32": [Peak(500, 50, 950), Peak(500, 50, 950), Peak(500, 50, 950)],
}


def test_ratios_are_against_the_fastest_and_the_leanest_plain_way_run_by_run() -> None:
    found = report(TIMES, PEAKS, [OURS, SMALL, LARGE, BARE])

    assert (found["fastest"], found["leanest"]) == ("plain_100", "plain_32")
    assert found["time_ratio"] == pytest.approx(2.0)
    assert found["spread"]["time_ratio"] == pytest.approx([2.0, 4.5])
    assert found["memory_ratio_without_models"] == pytest.approx(0.1)
    assert found["spread"]["memory_ratio_without_models"] == pytest.approx([0.08, 0.12])
    assert found["memory_ratio"] == pytest.approx(10 / 300)
    assert found["process_ratio"] == pytest.approx(0.7)


def test_a_plain_way_that_saves_its_logits_has_figures_of_its_own() -> None:
    found = report(TIMES, PEAKS, [OURS, SMALL, LARGE, BARE])

    assert found["without_logits"]["fastest"] == "plain_last_logits_32"
    assert found["without_logits"]["time_ratio"] == pytest.approx(1.5)
    assert found["without_logits"]["memory_ratio_without_models"] == pytest.approx(0.2)
    assert found["median_seconds"]["plain_32"] == pytest.approx(3.0)
    assert found["megabytes"]["ours"] == {"models": 300, "extra": 10, "process": 700}
    assert (found["runs"], found["memory_runs"]) == (3, 3)


def test_the_plain_way_runs_at_the_published_batch_and_at_ours() -> None:
    ours, *plain = compared("float32", without_logits=True)

    assert ours.ours
    assert {(way.batch, way.all_logits) for way in plain} == {
        (batch, logits) for batch in (PLAIN_BATCH, ours.batch) for logits in (True, False)
    }
    assert {way.dtype for way in plain} == {"float32"}
    assert len({way.name for way in (ours, *plain)}) == 5


def test_agreement_is_that_of_the_worst_position() -> None:
    ours = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    plain = torch.tensor([[3.0, 0.0], [1.0, 1.0]])

    assert agreement(ours, plain) == pytest.approx(0.5**0.5)
