"""`finetrace runs export`, `finetrace runs import` and `finetrace view`."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli import console
from finetrace.cli.organisms import OrganismsFile
from finetrace.errors import FinetraceError, WorkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from finetrace.export import Chosen
    from finetrace.store import Store

LOGS = Path("logs")
"""Where logs go, and where they are looked for."""

_SUFFIXES = {"jsonl": ".jsonl", "csv": ".csv", "html": ".html"}


class Form(StrEnum):
    """What a run can become."""

    INSPECT = "inspect"
    CSV = "csv"
    JSONL = "jsonl"
    HTML = "html"


def export_runs(
    names: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Runs or benchmarks: ids, their beginnings, or 'last'.")
    ],
    form: Annotated[Form, typer.Option("--to", help="Logs for Inspect, HiBayes' table, all of it, or a page.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="Default ./finetrace-ID.SUFFIX; for inspect ./logs."),
    ] = None,
    file: OrganismsFile = None,
) -> None:
    """Write runs or benchmarks to files for other programs, and print the paths.

    inspect: a log for each arm and investigator, a sample for each run. csv: a row for each grade. jsonl: everything,
    to be read back with `runs import`. html: the page of `finetrace report`.
    """
    from finetrace.export import choose
    from finetrace.store import Store

    registry = None if file is None else Path(file)
    with Store() as store:
        chosen = choose(names, store)
        path = output or Path(f"finetrace-{chosen.name}{_SUFFIXES.get(form.value, '')}")
        if form is Form.INSPECT:
            written = _to_inspect(chosen, store, output or LOGS, registry)
        elif form is Form.CSV:
            written = [_to_csv(chosen, store, path, registry)]
        elif form is Form.JSONL:
            written = [_to_jsonl(chosen, store, path)]
        else:
            written = [_to_html(names, store, path)]
    for each in written:
        _tell(each)


def import_runs(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of `runs export --to jsonl`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read runs and benchmarks back from a file: all of it or nothing.

    What is there already stays as it is; a run that is there and differs is refused.
    """
    from finetrace.export import read_jsonl
    from finetrace.store import Store

    with Store() as store:
        counts = store.take_in(read_jsonl(file))
    if as_json:
        console.print_json(counts._asdict())
    else:
        shown = ", ".join(f"{count} {name}" for name, count in counts._asdict().items() if count)
        console.results().print(f"imported {shown}" if shown else "nothing new: all of it is there already")


def view(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where `runs export --to inspect` has written logs.")
    ] = LOGS,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the viewer, on this machine.")] = 7575,
) -> None:
    """Open Inspect's viewer on exported logs, until Ctrl-C."""
    _need_inspect()
    if not any(folder.glob("**/*.eval")):
        raise FinetraceError(
            f"no log in {folder}", f"make some: finetrace runs export ID --to inspect --output {folder}"
        )
    # What organisms wrote is shown as plain text: it may be made to look like anything.
    command = ["view", "start", "--log-dir", str(folder), "--port", str(port), "--no-trust-content"]
    console.remarks().print(f"Inspect's viewer: http://127.0.0.1:{port} (Ctrl-C ends it)")
    _become([sys.executable, "-m", "inspect_ai", *command])


def _become(command: list[str]) -> None:
    """Run a command in place of this process, so that whoever ends this one ends it.

    Raises:
        WorkError: It went wrong, where a process cannot be replaced.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform != "win32":
        os.execv(command[0], command)
    import subprocess

    if code := subprocess.run(command).returncode:
        raise WorkError(f"Inspect's viewer ended with code {code}", "is the port taken? see --port")


def _need_inspect() -> None:
    if find_spec("inspect_ai") is None:
        raise FinetraceError("Inspect is not installed", "pip install 'finetrace[inspect]'")


def _to_inspect(chosen: Chosen, store: Store, folder: Path, registry: Path | None) -> list[Path]:
    _need_inspect()
    from finetrace.export.inspect_log import write_logs
    from finetrace.export.table import outcomes_of_chosen

    if folder.is_file():
        raise FinetraceError(f"{folder} is a file, and logs need a folder", "name another with --output")
    known = outcomes_of_chosen(chosen, store, registry)
    return write_logs(chosen, {row.run_id: row for row in known.outcomes}, store, folder)


def _to_csv(chosen: Chosen, store: Store, path: Path, registry: Path | None) -> Path:
    from finetrace.export.table import write_table

    try:
        table = write_table(chosen, store, path, registry)
    except OSError as fault:
        raise FinetraceError(f"cannot write {path}: {fault.strerror or fault}", "name another file") from fault
    out = console.remarks()
    out.print(f"{table.rows} rows, {table.unscored} without a score")
    if table.unknown:
        left = len(table.unknown)
        out.print(f"left out: {left} run{'s' if left > 1 else ''} of models whose truth the registry does not have")
    return path


def _to_jsonl(chosen: Chosen, store: Store, path: Path) -> Path:
    from finetrace.export import write_jsonl

    counts = write_jsonl(chosen, store, path)
    console.remarks().print(", ".join(f"{count} {name}" for name, count in counts._asdict().items()))
    return path


def _to_html(names: Sequence[str], store: Store, path: Path) -> Path:
    from finetrace.report import bench_page, find_named, run_page, write_report
    from finetrace.schema import Run

    if len(names) > 1:
        raise FinetraceError("a page shows one run or one benchmark", "name one")
    found = find_named(names[0], store)
    write_report(run_page(found, store) if isinstance(found, Run) else bench_page(found, store), path)
    return path


def _tell(path: Path) -> None:
    from finetrace.cli.escaping import visible

    console.results().print(visible(str(path), one_line=True), soft_wrap=True)
