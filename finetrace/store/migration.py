"""Tables of an earlier finetrace, brought to this one's in place.

Version 2 added the tables ``bench`` and ``grade``; those of version 1 stayed as they were.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, select, update
from sqlmodel import SQLModel, col

from finetrace.store.tables import SCHEMA_VERSION, BenchRow, GradeRow, SchemaVersionRow

_ADDED: dict[int, tuple[type[SQLModel], ...]] = {2: (BenchRow, GradeRow)}
"""Tables that are new in a version."""


def migrate(engine: Engine) -> None:
    """Make what is missing; all of it or, where the process dies or the disk is full, nothing.

    Args:
        engine: On a database of an earlier version. Another process may be doing the same.

    Raises:
        SQLAlchemyError: The database cannot be written.
    """
    with engine.begin() as connection:
        version = _alone_with(connection)
        for number in range(version + 1, SCHEMA_VERSION + 1):
            names = [str(table.__tablename__) for table in _ADDED[number]]
            SQLModel.metadata.create_all(connection, [SQLModel.metadata.tables[name] for name in names])
        if version < SCHEMA_VERSION:
            values = {"version": SCHEMA_VERSION, "written_at": datetime.now(UTC)}
            connection.execute(update(SchemaVersionRow).values(values))


def _alone_with(connection: Connection) -> int:
    """The version once nobody else can write, so that it cannot change any more."""
    chosen = select(col(SchemaVersionRow.version))
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return int(connection.execute(chosen).scalar_one())
    return int(connection.execute(chosen.with_for_update()).scalar_one())
