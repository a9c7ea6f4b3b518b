"""Reports: a run or a benchmark as one HTML file that needs nothing else.

A benchmark's own parts are in `finetrace.report.bench_report`, which takes seconds to import.
"""

from finetrace.report.file import write_report
from finetrace.report.from_store import bench_page, find_named, run_page
from finetrace.report.kept import keep_report, kept_report
from finetrace.report.run_report import run_report
from finetrace.report.stored_run import StoredRun

__all__ = [
    "StoredRun",
    "bench_page",
    "find_named",
    "keep_report",
    "kept_report",
    "run_page",
    "run_report",
    "write_report",
]
