"""Reports: a run or a benchmark as one HTML file that needs nothing else."""

from finetrace.report.file import write_report
from finetrace.report.run_report import run_report

__all__ = ["run_report", "write_report"]
