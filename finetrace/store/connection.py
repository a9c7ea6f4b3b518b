"""Opening of a database, and its faults in words."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, ProgrammingError, SQLAlchemyError
from sqlmodel import Session, SQLModel, select

from finetrace.errors import FinetraceError, WorkError
from finetrace.settings import get_settings
from finetrace.store import file, search_index
from finetrace.store.migration import migrate
from finetrace.store.tables import SCHEMA_VERSION, SchemaVersionRow, to_json, write_version

_OTHER_SERVER = "name another database of that server in FINETRACE_DATABASE_URL"


def database_url(named: str | None) -> URL:
    """The address in force: the one given, else ``FINETRACE_DATABASE_URL``, else a file in the data folder.

    Raises:
        FinetraceError: The address makes no sense; it is not repeated, because it may hold a password.
    """
    settings = get_settings()
    chosen = named or settings.database_url
    if chosen is None:
        return URL.create("sqlite", database=str(settings.database_file))
    try:
        url = make_url(chosen)
    except (ArgumentError, ValueError):
        raise FinetraceError(
            "the address of the database cannot be understood",
            "write it as 'sqlite:////folder/file.db' or 'postgresql://user@host/name'",
        ) from None
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise FinetraceError("a database in memory would lose every run", "name a file: 'sqlite:////folder/file.db'")
    if url.drivername in ("postgresql", "postgres") and (find_spec("psycopg") or not find_spec("psycopg2")):
        return url.set(drivername="postgresql+psycopg")  # SQLAlchemy itself would ask for the older psycopg2
    return url


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite address; ``None`` for another database."""
    return Path(url.database or "").absolute() if url.get_backend_name() == "sqlite" else None


def shown_address(url: URL) -> str:
    """Where the database is, without its password."""
    return str(sqlite_file(url) or url.render_as_string(hide_password=True))


def open_engine(url: URL, *, create: bool) -> Engine | None:
    """An engine on a database of ours.

    Args:
        url: Its address.
        create: Whether to make the SQLite file, or the tables of a server, where there are none.

    Returns:
        The engine, or ``None`` where there is nothing and nothing is to be made.

    Raises:
        FinetraceError: It is not ours, damaged, from a newer finetrace, or does not answer.
    """
    path = sqlite_file(url)
    if path is None:
        server = _open_server(url, create=create)
        if server is None:
            return None
        engine = server
    elif create or file.exists(path):
        try:
            file.create(path)
        except SQLAlchemyError as fault:
            raise database_fault(url, fault) from fault
        file.recognise(path)
        engine = file.connect(path)
    else:
        return None
    try:
        _bring_up_to_date(url, engine)
    except FinetraceError:
        engine.dispose()
        raise
    return engine


def _open_server(url: URL, *, create: bool) -> Engine | None:
    """The engine of a database server that has our tables, once they are made if need be."""
    try:
        engine = create_engine(url, json_serializer=to_json, pool_pre_ping=True)
        if not inspect(engine).has_table(SchemaVersionRow.__tablename__):
            if not create:
                engine.dispose()
                return None
            _make_tables(engine)
    except (ModuleNotFoundError, NoSuchModuleError) as missing:
        raise FinetraceError(
            f"the driver of the database {shown_address(url)} is not installed: {missing}",
            "pip install 'finetrace[postgres]'" if url.get_backend_name() == "postgresql" else "install it with pip",
        ) from missing
    except SQLAlchemyError as fault:
        raise database_fault(url, fault) from fault
    return engine


def _make_tables(engine: Engine) -> None:
    """Make the tables of a server; another process may be doing the same."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({file.APPLICATION_ID})")
        if not inspect(connection).has_table(SchemaVersionRow.__tablename__):
            SQLModel.metadata.create_all(connection)
            search_index.make_index(connection)
            write_version(connection)


def _bring_up_to_date(url: URL, engine: Engine) -> None:
    """Add what tables of an earlier finetrace lack; refuse those that this one does not know."""
    found = _versions(url, engine)
    if len(found) == 1 and 1 <= found[0] < SCHEMA_VERSION:
        try:
            migrate(engine)
        except SQLAlchemyError as fault:
            raise database_fault(url, fault) from fault
        found = _versions(url, engine)
    if any(version > SCHEMA_VERSION for version in found):
        raise FinetraceError(
            f"the database {shown_address(url)} was made by a newer finetrace: its tables have version "
            f"{max(found)}, this one knows {SCHEMA_VERSION}",
            "install that finetrace, or set FINETRACE_DATA_DIR to another folder",
        )
    if found != [SCHEMA_VERSION]:
        raise FinetraceError(
            f"the database {shown_address(url)} does not say which version its tables have", file.DAMAGED
        )


def _versions(url: URL, engine: Engine) -> list[int]:
    """What the database says of its tables: one number, where nothing is wrong."""
    try:
        with Session(engine) as session:
            return list(session.exec(select(SchemaVersionRow.version)))
    except SQLAlchemyError as fault:
        raise database_fault(url, fault) from fault


def database_fault(url: URL, fault: SQLAlchemyError) -> FinetraceError:
    """A fault of the database in one line, with what to do about it."""
    place = shown_address(url)
    lines = str(fault.orig if isinstance(fault, DBAPIError) else fault).strip().splitlines()
    reason = lines[0] if lines else type(fault).__name__
    if "locked" in reason:
        return WorkError(f"the database {place} is busy: {reason}", "try again when the other run is done")
    if "no such module: fts5" in reason:
        return FinetraceError("the SQLite of this Python has no full-text search (FTS5)", "use a Python whose has it")
    if sqlite_file(url) is None and isinstance(fault, ProgrammingError):
        return FinetraceError(f"the tables of the database {place} are not finetrace's: {reason}", _OTHER_SERVER)
    if sqlite_file(url) is None:
        return FinetraceError(f"the database {place} does not answer: {reason}", "check FINETRACE_DATABASE_URL")
    if any(sign in reason for sign in ("malformed", "not a database", "no such")):
        return FinetraceError(f"the database {place} is damaged: {reason}", file.DAMAGED)
    if "disk" in reason:
        return FinetraceError(f"the database {place} cannot be written: {reason}", "make room on the disk")
    return FinetraceError(f"the database {place} cannot be used: {reason}", file.OTHER_DATABASE)
