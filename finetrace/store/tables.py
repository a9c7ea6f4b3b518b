"""Tables of the database.

These classes do not validate: a row is made from a schema object and read back into one.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Column, Connection, DateTime, Dialect, ForeignKey, Text, insert
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from finetrace.schema import BenchRecord, GradeRecord, Run, Step

SCHEMA_VERSION = 3
"""Goes up by one with every change of a table; `finetrace.store.migration` knows the way from each to the next."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite itself forgets the time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a moment without a zone is taken as UTC already."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SchemaVersionRow(SQLModel, table=True):
    """One row: the version of the tables in this database."""

    __tablename__ = "schema_version"

    version: int = Field(primary_key=True)
    written_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class RunRow(SQLModel, table=True):
    """One `Run`."""

    __tablename__ = "run"

    run_id: str = Field(primary_key=True)
    organism: str = Field(index=True)
    alias: str
    arm: str
    investigator: str
    seed: int
    status: str
    target: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    settings: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    hypothesis: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    usage: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    error: str | None = Field(default=None, sa_column=Column(Text))
    version: str
    started_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False, index=True))
    finished_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class StepRow(SQLModel, table=True):
    """One `Step`; written once and never changed."""

    __tablename__ = "step"

    run_id: str = Field(sa_column=Column(ForeignKey("run.run_id", ondelete="CASCADE"), primary_key=True))
    number: int = Field(primary_key=True)
    kind: str
    thought: str = Field(sa_column=Column(Text, nullable=False))
    instrument: str | None = None
    arguments: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    reading: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    text: str = Field(sa_column=Column(Text, nullable=False))
    error: str | None = Field(default=None, sa_column=Column(Text))
    hypothesis: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    usage: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    started_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    finished_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class BenchRow(SQLModel, table=True):
    """One `BenchRecord`; written once and never changed. Since version 2."""

    __tablename__ = "bench"

    bench_id: str = Field(primary_key=True)
    settings: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    units: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    version: str
    started_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False, index=True))


class GradeRow(SQLModel, table=True):
    """One `GradeRecord`; grading again replaces it. Since version 2."""

    __tablename__ = "grade"

    run_id: str = Field(sa_column=Column(ForeignKey("run.run_id", ondelete="CASCADE"), primary_key=True))
    grader: str = Field(primary_key=True)
    repeat: int = Field(primary_key=True)
    grade: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    graded_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


def write_version(connection: Connection) -> None:
    """Note in a new database which tables it has."""
    row = {"version": SCHEMA_VERSION, "written_at": datetime.now(UTC)}
    connection.execute(insert(SchemaVersionRow).values(row))


_MOMENTS = frozenset({"started_at", "finished_at", "graded_at"})


def columns(item: Run | Step | BenchRecord | GradeRecord) -> dict[str, Any]:
    """The column values of one object; validated once more, because a copy may have skipped it."""
    checked = type(item).model_validate(item.model_dump())
    values = checked.model_dump(mode="json", exclude=set(_MOMENTS))
    return values | {name: getattr(checked, name) for name in _MOMENTS & type(item).model_fields.keys()}


def run_of(row: RunRow) -> Run:
    """The run a row describes."""
    return Run.model_validate({name: getattr(row, name) for name in Run.model_fields})


def step_of(row: StepRow) -> Step:
    """The step a row describes."""
    return Step.model_validate({name: getattr(row, name) for name in Step.model_fields})


def bench_of(row: BenchRow) -> BenchRecord:
    """The benchmark a row describes."""
    return BenchRecord.model_validate({name: getattr(row, name) for name in BenchRecord.model_fields})


def grade_of(row: GradeRow) -> GradeRecord:
    """The grade a row describes."""
    return GradeRecord.model_validate({name: getattr(row, name) for name in GradeRecord.model_fields})


def to_json(value: Any) -> str:
    """JSON that every database accepts: numbers that are not finite become null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    """The value with NaN and infinities replaced by None, all the way down."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
