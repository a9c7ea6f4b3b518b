"""The mean activation difference against the plain way to it: time and memory.

    python -m benchmarks.activation [--runs 5] [--without-logits] [--json]

The organism is the bundled tide_bells, its layer the middle one, the texts are 2,000 beginnings of five tokens. Plain
are two full models (the base, and the base with the adapter merged into it), `output_hidden_states=True`, the layer's
states kept for every text of both models, then the mean of their differences in float32. It runs at the published
batch of 32 and at finetrace's own, in the number format in which it is faster here. What is compared:

- ``time_ratio``: seconds of the fastest plain way over seconds of finetrace, run by run, interleaved. No side loads;
- ``memory_ratio``: what finetrace needs beyond one loaded model over what the leanest plain way needs beyond one, which
  is its second model, too; each measured in a process of its own;
- ``memory_ratio_without_models``: the same without the plain way's second model: workspace and activations;
- ``without_logits``, where asked for: both ratios against a plain way that asks for the last position's logits only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks.mean_ways import PLAIN_BATCH, POSITIONS, Difference, Way, beginnings, open_plain, open_way, our_way
from benchmarks.peak_memory import Peak, peak_of

OURS = "ours"
MEMORY_RUNS = 2
"""Peaks of a process hardly vary; each takes a whole pass."""
_TRIED = 5
"""Batches on which the plain way's number format is chosen."""


def seconds(difference: Difference, rows: list[list[int]]) -> float:
    """Wall-clock time of one pass."""
    start = time.perf_counter()
    difference(rows)
    return time.perf_counter() - start


def faster_format(rows: list[list[int]]) -> str:
    """The number format in which the plain way is faster here."""
    taken: dict[str, float] = {}
    for dtype in ("bfloat16", "float32"):
        way = Way(False, PLAIN_BATCH, dtype)
        taken[dtype] = seconds(open_way(way), rows[: _TRIED * PLAIN_BATCH])
    return min(taken, key=taken.__getitem__)


def compared(dtype: str, *, without_logits: bool) -> list[Way]:
    """finetrace, and the plain ways it is compared with."""
    ours = our_way()
    logits = (True, False) if without_logits else (True,)
    plain = [Way(False, batch, dtype, each) for batch in (PLAIN_BATCH, ours.batch) for each in logits]
    return [ours, *dict.fromkeys(plain)]


def measure(runs: int, *, without_logits: bool = False) -> dict[str, Any]:
    """All figures."""
    rows = beginnings()
    ways = compared(faster_format(rows), without_logits=without_logits)
    peaks: dict[str, list[Peak]] = {way.name: [] for way in ways}
    for run in range(min(runs, MEMORY_RUNS)):
        for way in ways:
            peaks[way.name].append(peak_of(way, rows))
        print(f"memory, run {run + 1} of {min(runs, MEMORY_RUNS)} done", file=sys.stderr)
    plain = open_plain(ways[1:])
    opened = {OURS: open_way(ways[0]), **plain}
    times: dict[str, list[float]] = {name: [] for name in opened}
    found = {name: difference(rows) for name, difference in opened.items()}  # warm, too: each at its own shapes
    for run in range(runs):
        for name, difference in opened.items():
            times[name].append(seconds(difference, rows))
        print(f"time, run {run + 1} of {runs} done", file=sys.stderr)
    settings = {
        "texts": len(rows),
        "positions": POSITIONS,
        "batch": ways[0].batch,
        "dtype": ways[0].dtype,
        "plain_dtype": ways[1].dtype,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
    }
    return {**report(times, peaks, ways), "agreement": agreement(found[OURS], found[ways[1].name]), **settings}


def agreement(ours: torch.Tensor, plain: torch.Tensor) -> float:
    """Smallest cosine between the two differences over the positions: both ways must find the same thing."""
    return float(torch.nn.functional.cosine_similarity(ours, plain, dim=-1).min())


def report(
    times: Mapping[str, Sequence[float]], peaks: Mapping[str, Sequence[Peak]], ways: Sequence[Way]
) -> dict[str, Any]:
    """Ratios against the best plain way: the fastest for time, the leanest for memory."""
    whole = [way.name for way in ways if not way.ours and way.all_logits]
    last = [way.name for way in ways if not way.ours and not way.all_logits]
    return {
        **_against(whole, times, peaks),
        "without_logits": _against(last, times, peaks) if last else None,
        "median_seconds": {name: statistics.median(own) for name, own in times.items()},
        "megabytes": {
            name: {field: statistics.median(getattr(peak, field) for peak in own) for field in Peak._fields}
            for name, own in peaks.items()
        },
        "runs": len(times[OURS]),
        "memory_runs": len(peaks[OURS]),
        "seconds": {name: list(own) for name, own in times.items()},
        "peaks": {name: [peak._asdict() for peak in own] for name, own in peaks.items()},
    }


def _against(
    plain: Sequence[str], times: Mapping[str, Sequence[float]], peaks: Mapping[str, Sequence[Peak]]
) -> dict[str, Any]:
    """Medians of run-by-run ratios, and their spread."""
    fastest = min(plain, key=lambda name: statistics.median(times[name]))
    leanest = min(plain, key=lambda name: statistics.median(peak.extra for peak in peaks[name]))
    pairs = list(zip(peaks[OURS], peaks[leanest], strict=True))
    ratios = {
        "time_ratio": [p / o for o, p in zip(times[OURS], times[fastest], strict=True)],
        "memory_ratio_without_models": [own.extra / other.extra for own, other in pairs],
        "memory_ratio": [own.extra / (other.extra + other.models - own.models) for own, other in pairs],
        "process_ratio": [own.process / other.process for own, other in pairs],
    }
    return {
        **{name: statistics.median(values) for name, values in ratios.items()},
        "spread": {name: [min(values), max(values)] for name, values in ratios.items()},
        "fastest": fastest,
        "leanest": leanest,
    }


def show(result: Mapping[str, Any]) -> None:
    """The figures for people."""
    print(f"{result['texts']} texts of {result['positions']} tokens, {result['runs']} runs for time, ", end="")
    print(f"{result['memory_runs']} for memory, {result['device']}, {result['threads']} threads, finetrace ", end="")
    print(f"{result['dtype']} at batch {result['batch']}, plain {result['plain_dtype']}; medians [smallest, largest]\n")
    for title, found in (("", result), (" without its logits", result["without_logits"])):
        if found is None:
            continue
        spread = found["spread"]
        print(f"against the plain way{title}:")
        for name, what, best in (
            ("time_ratio", "time, plain over finetrace", found["fastest"]),
            ("memory_ratio", "memory beyond one loaded model, finetrace over plain", found["leanest"]),
            ("memory_ratio_without_models", "the same, the second model not counted", found["leanest"]),
            ("process_ratio", "whole process", found["leanest"]),
        ):
            low, high = spread[name]
            print(f"  {found[name]:6.3f} [{low:.3f}, {high:.3f}]  {what} ({best})")
    print(f"\nsmallest cosine between what the two find: {result['agreement']:.4f}\n")
    print(f"{'':24s} seconds  extra MB  models MB  process MB")
    for name, taken in result["median_seconds"].items():
        own = result["megabytes"][name]
        print(f"{name:24s} {taken:7.2f} {own['extra']:9.1f} {own['models']:10.1f} {own['process']:11.1f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--without-logits", action="store_true", help="compare with plain ways that skip logits, too")
    options = parser.parse_args(arguments)
    result = measure(options.runs, without_logits=options.without_logits)
    if options.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == "__main__":
    main()
