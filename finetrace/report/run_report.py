"""The report of one run."""

from __future__ import annotations

from collections.abc import Sequence

from finetrace import __version__
from finetrace.report.page import render
from finetrace.report.run_view import view_run
from finetrace.report.token_shades import scale
from finetrace.schema import GradeRecord, Run, Step


def run_report(run: Run, steps: Sequence[Step], grades: Sequence[GradeRecord] = ()) -> str:
    """One HTML page that says what a run did, what it answered and on what evidence.

    Args:
        run: Finished or not.
        steps: Its steps, in order.
        grades: Its grades, the oldest first.
    """
    view = view_run(run, steps, grades)
    return render("run_report.html", view=view, shades=scale(), made_by=__version__)
