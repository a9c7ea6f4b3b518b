"""Tables of an earlier finetrace, brought to this one's in place.

Version 2 added the tables ``bench`` and ``grade``, version 3 the full-text index over steps with its tables
``searched_step`` and (in SQLite) ``step_words``; the others stayed as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, select, update
from sqlmodel import SQLModel, col

from finetrace.store import search_index
from finetrace.store.tables import SCHEMA_VERSION, BenchRow, GradeRow, SchemaVersionRow


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
            _STEPS[number](connection)
        if version < SCHEMA_VERSION:
            values = {"version": SCHEMA_VERSION, "written_at": datetime.now(UTC)}
            connection.execute(update(SchemaVersionRow).values(values))


def _add_benches(connection: Connection) -> None:
    """To version 2."""
    names = [str(table.__tablename__) for table in (BenchRow, GradeRow)]
    SQLModel.metadata.create_all(connection, [SQLModel.metadata.tables[name] for name in names])


def _add_search(connection: Connection) -> None:
    """To version 3; the words of old steps follow with the first search."""
    search_index.make_index(connection)


_STEPS: dict[int, Callable[[Connection], None]] = {2: _add_benches, 3: _add_search}
"""What makes a version of the one before."""


def _alone_with(connection: Connection) -> int:
    """The version once nobody else can write, so that it cannot change any more."""
    chosen = select(col(SchemaVersionRow.version))
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return int(connection.execute(chosen).scalar_one())
    return int(connection.execute(chosen.with_for_update()).scalar_one())
