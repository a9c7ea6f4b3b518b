"""Peak memory of one way to the mean activation difference, in a process of its own.

    python -m benchmarks.peak_memory WAY < ROWS

``WAY`` and ``ROWS`` are JSON, the fields of `benchmarks.mean_ways.Way` and token ids. On a CPU it is the largest
resident set that Linux reports, on a GPU what torch has allocated there at most.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from finetrace.errors import WorkError

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


class Peak(NamedTuple):
    """Memory of one process, MB (10^6 bytes)."""

    models: float
    """What loading the models and one text through each have added."""
    extra: float
    """The largest amount beyond that while the mean difference was computed."""
    process: float
    """The largest amount of all, libraries included."""


def peak_of(way: Sequence[object], rows: Sequence[Sequence[int]]) -> Peak:
    """Measure one way in a fresh process.

    Raises:
        WorkError: It failed.
    """
    command = [sys.executable, "-m", "benchmarks.peak_memory", json.dumps(list(way))]
    done = subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WorkError(f"the memory of {way} was not measured: {done.stderr.strip()[-500:]}", "run it on Linux")
    return Peak(*json.loads(done.stdout))


class _Meter:
    """Bytes in use now, and at most since the last reset."""

    def __init__(self) -> None:
        import torch

        self._cuda = torch.cuda if torch.cuda.is_available() else None

    def now(self) -> int:
        """After everything that can be given back was."""
        gc.collect()
        if self._cuda is not None:
            return int(self._cuda.memory_allocated())
        # Else freed memory of the loading would be used again, and not be counted.
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        return _resident("VmRSS")

    def reset(self) -> None:
        """Forget the peak so far."""
        if self._cuda is not None:
            self._cuda.reset_peak_memory_stats()
        else:
            _RESET.write_text("5")

    def most(self) -> int:
        """The peak since."""
        return int(self._cuda.max_memory_allocated()) if self._cuda is not None else _resident("VmHWM")


def _resident(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise WorkError(f"this system does not report {name}", "measure memory on Linux")
    return int(found[1]) * 1024


def main() -> None:
    """Measure and print the three figures."""
    from benchmarks.mean_ways import Way, open_way

    way = Way(*json.loads(sys.argv[1]))
    rows = json.load(sys.stdin)
    meter = _Meter()
    bare = meter.now()
    difference = open_way(way)
    ready = meter.now()
    meter.reset()
    difference(rows)
    most = meter.most()
    print(json.dumps([bytes_ / 1e6 for bytes_ in (ready - bare, most - ready, most)]))


if __name__ == "__main__":
    main()
