"""`finetrace report`: a run or a benchmark as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli import console

if TYPE_CHECKING:
    from finetrace.store import Store


def report(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_BENCH_ID", help="Id of a run or a benchmark, its beginning, or 'last' for the newest run."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.html", help="Default finetrace-ID.html, here.")
    ] = None,
) -> None:
    """Write a run or a benchmark as one HTML file that opens in any browser and needs nothing else.

    Of a run: answer and evidence in its place, grade, budget, timeline, every reading. Of a benchmark: scores by arm
    and organism, effects with intervals, false positives, cost, tool use, and a digest of each run. Prints the path.
    """
    from finetrace.escaping import visible
    from finetrace.report import bench_page, find_named, run_page, write_report
    from finetrace.schema import Run
    from finetrace.store import Store

    with Store() as store:
        found = find_named(name, store)
        if isinstance(found, Run):
            page, shown = run_page(found, store), found.run_id
        else:
            page, shown = bench_page(found, store), found.bench_id
    path = output or Path(f"finetrace-{shown}.html")
    size = write_report(page, path)
    console.remarks().print(f"{size / 1e6:.1f} MB", soft_wrap=True)
    console.results().print(visible(str(path), one_line=True), soft_wrap=True)


def show_reports(run_ids: Sequence[str], store: Store) -> None:
    """Write each run's report to its place in the data folder and say where it lies."""
    from finetrace.escaping import visible
    from finetrace.report import keep_report

    out = console.results()
    out.print()
    for run_id in run_ids:
        path = keep_report(store.run(run_id), store)
        out.print(visible(f"report, for a browser: {path}", one_line=True), soft_wrap=True)
