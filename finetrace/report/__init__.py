"""Reports: a run or a benchmark as one HTML file that needs nothing else."""

from finetrace.report.bench_report import BenchShown, StoredRun, bench_report
from finetrace.report.file import write_report
from finetrace.report.from_store import bench_page, find_named, run_page
from finetrace.report.run_report import run_report

__all__ = [
    "BenchShown",
    "StoredRun",
    "bench_page",
    "bench_report",
    "find_named",
    "run_page",
    "run_report",
    "write_report",
]
