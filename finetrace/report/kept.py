"""Reports that finetrace keeps by itself: an investigation shown on a terminal leaves one when it ends."""

from __future__ import annotations

from pathlib import Path

from finetrace.errors import FinetraceError
from finetrace.report.file import write_report
from finetrace.report.from_store import run_page
from finetrace.schema import Run
from finetrace.settings import get_settings
from finetrace.store import Store


def kept_report(run_id: str) -> Path:
    """Where the report of a run is kept, whether there is one or not."""
    return get_settings().data_dir / "reports" / f"finetrace-{run_id}.html"


def keep_report(run: Run, store: Store) -> Path:
    """Write the report of a run to its place, over an older one.

    Raises:
        FinetraceError: The store cannot be read, or the place cannot be written.
    """
    path = kept_report(run.run_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise FinetraceError(
            f"cannot make {path.parent}: {fault.strerror or fault}", "point FINETRACE_DATA_DIR at a folder of yours"
        ) from fault
    write_report(run_page(run, store), path)
    return path
