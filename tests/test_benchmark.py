"""What the benchmark reports, from made-up times: nothing is timed here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from benchmarks.generation import Bench, Setting, report


def test_ratios_are_medians_over_interleaved_runs_of_both_framings() -> None:
    bench = cast(
        Bench,
        SimpleNamespace(
            settings=[Setting("raw", []), Setting("chat", [])],
            dtype=torch.bfloat16,
            plain=SimpleNamespace(dtype=torch.float32),
        ),
    )
    times: dict[str, dict[str, list[float]]] = {}
    for what, factor in (("sampling", 4.0), ("greedy", 2.5), ("pipeline", 3.0)):
        times[f"ours_{what}"] = {"raw": [1.0, 2.0, 1.0], "chat": [1.0, 2.0, 3.0]}
        times[f"plain_{what}"] = {f: [factor * t for t in own] for f, own in times[f"ours_{what}"].items()}
    times["plain_greedy"]["raw"][0] = 5.5

    found: dict[str, Any] = report(times, [0.5, 0.7, 0.6], [4e11, 5e11, 6e11], 7e11, bench)

    assert found["sampling_ratio"] == pytest.approx(4.0)
    assert found["greedy_ratio"] == pytest.approx(2.5)
    assert found["spread"]["greedy"] == pytest.approx([2.5, 4.0])
    assert found["pipeline_ratio"] == pytest.approx(3.0)
    assert found["by_framing"]["raw"]["greedy"] == pytest.approx(2.5)
    assert found["matmul_share"] == pytest.approx(0.6)
    assert found["matmul_gflops"] == pytest.approx(500.0)
    assert found["square_matmul_gflops"] == pytest.approx(700.0)
    assert found["runs"] == 3
    assert found["seconds"] == times
