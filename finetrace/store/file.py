"""The SQLite file: made in one piece, and recognised before anything opens it for writing."""

from __future__ import annotations

import os
import sqlite3
import struct
from pathlib import Path

from filelock import FileLock
from sqlalchemy import URL, Engine, create_engine, event
from sqlmodel import SQLModel

from finetrace.errors import FinetraceError
from finetrace.settings import writable_folder
from finetrace.store import search_index
from finetrace.store.tables import to_json, write_version

APPLICATION_ID = int.from_bytes(b"ftrc")
"""Marks a SQLite file as ours, at byte 68 of its header (sqlite.org/fileformat.html)."""

_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_PAGE_SIZE_AT = 16
_APPLICATION_ID_AT = 68
_BUSY_SECONDS = 30.0

OTHER_DATABASE = "set FINETRACE_DATABASE_URL or FINETRACE_DATA_DIR to another place"
DAMAGED = "put back a copy of it, or move it away with its -wal and -shm, and finetrace makes a new one"


def exists(path: Path) -> bool:
    """Whether there is a database; a file without a byte does not count.

    Raises:
        FinetraceError: There is none, but what SQLite had beside it: a new one would swallow that.
    """
    if _holds(path):
        return True
    if beside := [name for ending in ("-wal", "-journal") if _holds(path.with_name(name := f"{path.name}{ending}"))]:
        raise FinetraceError(f"the database {path} is cut short: nothing is left of it but {beside[0]}", DAMAGED)
    return False


def _holds(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def recognise(path: Path) -> None:
    """Make sure from its first bytes that the file is a finetrace database; it is only read.

    Raises:
        FinetraceError: It is something else, or too short to be one.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
    except OSError as fault:
        reason = fault.strerror or type(fault).__name__
        raise FinetraceError(f"the database {path} cannot be read: {reason}", OTHER_DATABASE) from fault
    if not header.startswith(_MAGIC[: len(header)]):
        raise FinetraceError(f"{path} is not a SQLite database; it was left as it is", OTHER_DATABASE)
    if len(header) < _HEADER_BYTES:
        raise FinetraceError(f"the database {path} is cut short; it was left as it is", DAMAGED)
    (page_size,) = struct.unpack_from(">H", header, _PAGE_SIZE_AT)
    (application_id,) = struct.unpack_from(">I", header, _APPLICATION_ID_AT)
    if application_id == APPLICATION_ID and size % max(page_size, 512):
        # SQLite notices whole pages that are missing, and silently fills up the last one.
        raise FinetraceError(f"the database {path} is cut short; it was left as it is", DAMAGED)
    if application_id != APPLICATION_ID:
        raise FinetraceError(f"{path} is a database of another program; it was left as it is", OTHER_DATABASE)


def create(path: Path) -> None:
    """Make an empty database where there is none; another process may be doing the same.

    It is built under another name and renamed, so that no crash leaves half a database.

    Raises:
        FinetraceError: The folder cannot be written to.
        SQLAlchemyError: SQLite could not write, as on a full disk; nothing is left behind.
    """
    if exists(path):
        return
    folder = writable_folder(path.parent, "data folder")
    with FileLock(folder / f".{path.name}.lock"):
        if exists(path):
            return
        draft = folder / f".{path.name}.new"
        draft.unlink(missing_ok=True)
        try:
            _make_tables(draft)
            os.replace(draft, path)
        except OSError as fault:
            raise FinetraceError(f"cannot make {path}: {fault.strerror or fault}", OTHER_DATABASE) from fault
        finally:
            draft.unlink(missing_ok=True)


def _make_tables(path: Path) -> None:
    """Write an empty database; all of it is in the one file when this returns."""
    engine = connect(path)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            SQLModel.metadata.create_all(connection)
            search_index.make_index(connection)
            write_version(connection)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    finally:
        engine.dispose()


def connect(path: Path) -> Engine:
    """An engine on the file whose connections wait for each other and enforce foreign keys."""
    engine = create_engine(URL.create("sqlite", database=str(path)), json_serializer=to_json)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
        connection.execute("PRAGMA foreign_keys = ON")
        # Safe against a killed process in WAL mode, and an order of magnitude faster than FULL.
        connection.execute("PRAGMA synchronous = NORMAL")

    return engine
