"""Runs as JSON lines: everything that the store holds of them, to be kept, handed on, and read back.

The first line says what the file is, the last how much of it there is; between them stand benchmarks, and each run
followed by its steps and grades. Every line has a ``record`` that says what it holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from finetrace import __version__
from finetrace.errors import FinetraceError
from finetrace.export.chosen import Chosen
from finetrace.export.file import replacing
from finetrace.schema import BenchRecord, GradeRecord, Run, Step
from finetrace.store import Store
from finetrace.store.importing import Counts, Record, StepOf

FORMAT = 1
"""Goes up when a reader of the earlier form would go wrong."""

Form = TypeVar("Form", bound=BaseModel)

_DAMAGED = "export it again"


def write_jsonl(chosen: Chosen, store: Store, path: Path) -> Counts:
    """Write runs and benchmarks to a file, whole or not at all, and say how many of each.

    Raises:
        FinetraceError: The file cannot be written.
    """
    counts = Counts()
    with replacing(path) as draft, draft.open("w", encoding="ascii", newline="\n") as file:
        for line in _lines(chosen, store):
            counts = counts.with_one(line["record"])
            file.write(json.dumps(line, allow_nan=False) + "\n")
    return counts


def _lines(chosen: Chosen, store: Store) -> Iterator[dict[str, Any]]:
    yield {"record": "finetrace", "format": FORMAT, "version": __version__}
    counts = Counts()
    for bench in chosen.benches:
        counts = counts.with_one("bench")
        yield {"record": "bench", "value": bench.model_dump(mode="json")}
    for run in chosen.runs:
        counts = counts.with_one("run")
        yield {"record": "run", "value": run.model_dump(mode="json")}
        for step in store.steps(run.run_id):
            counts = counts.with_one("step")
            yield {"record": "step", "run_id": run.run_id, "value": step.model_dump(mode="json")}
        for grade in store.grades([run.run_id]):
            counts = counts.with_one("grade")
            yield {"record": "grade", "value": grade.model_dump(mode="json")}
    yield {"record": "end", **counts._asdict()}


def read_jsonl(path: Path) -> Iterator[Record]:
    """What a file holds, in its order.

    Raises:
        FinetraceError: It cannot be read, is no export or not whole, or a newer finetrace wrote it. That may show at
            its end only: whatever was done with the first records is to be undone then.
    """
    counts, told = Counts(), None
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                line = _line(path, number, text)
                if number == 1:
                    _check_head(path, line)
                elif line.get("record") == "end":
                    told = Counts(**{name: line.get(name, -1) for name in Counts._fields})
                else:
                    record = _record(path, number, line)
                    counts = counts.with_one(line["record"])
                    yield record
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not text"
        raise FinetraceError(f"cannot read {path}: {reason or fault}", "name a file of `runs export`") from fault
    if told != counts:
        raise FinetraceError(f"{path} is cut short: nothing was imported", _DAMAGED)


def _line(path: Path, number: int, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("record"), str):
        raise FinetraceError(f"{path}, line {number}: no record of finetrace", _DAMAGED)
    return value


def _check_head(path: Path, line: dict[str, Any]) -> None:
    if line["record"] != "finetrace":
        raise FinetraceError(f"{path} is not an export of finetrace", "make one with `runs export ID --to jsonl`")
    if line.get("format") != FORMAT:
        raise FinetraceError(
            f"{path} was written by finetrace {line.get('version')} in a form that this one does not know",
            "install that finetrace",
        )


def _record(path: Path, number: int, line: dict[str, Any]) -> Record:
    kinds: dict[str, type[BaseModel]] = {"bench": BenchRecord, "run": Run, "step": Step, "grade": GradeRecord}
    kind = kinds.get(line["record"])
    if kind is None:
        raise FinetraceError(f"{path}, line {number}: unknown record '{line['record']}'", _DAMAGED)
    try:
        value: Any = kind.model_validate_json(json.dumps(line.get("value")))
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FinetraceError(f"{path}, line {number}: {where or line['record']}: {first['msg']}", _DAMAGED) from fault
    if isinstance(value, Step):
        return StepOf(str(line.get("run_id")), value)
    record: Record = value
    return record
