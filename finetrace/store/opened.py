"""An open database: made when something is to be written, let go of at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlmodel import Session

from finetrace.redaction import secrets_of, without_keys
from finetrace.store.connection import database_fault, database_url, open_engine, shown_address, sqlite_file
from finetrace.store.tables import SCHEMA_VERSION

_UNHELD = re.compile("[\ud800-\udfff]")
"""Halves of characters: no encoding has them."""
_UNHELD_BY_SERVERS = re.compile("[\0\ud800-\udfff]")
"""PostgreSQL has no text with a zero byte in it."""


class Opened:
    """The database; a context manager that closes it.

    Nothing is opened before it is needed, and reading never makes a database.

    Args:
        url: SQLAlchemy address; default ``FINETRACE_DATABASE_URL``, else a SQLite file in the data folder.

    Raises:
        FinetraceError: From here and from every method: the database cannot be opened, belongs to another
            program, is damaged, or was made by a newer finetrace. Its file is then left as it was.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = database_url(url)
        self._engine: Engine | None = None

    @property
    def address(self) -> str:
        """Where the database is, without its password."""
        return shown_address(self._url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database; the next call opens it again."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def version(self) -> int | None:
        """Version of its tables; ``None`` while there is no database."""
        return None if self._open(create=False) is None else SCHEMA_VERSION

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """A session on the open database; faults of the database become errors in words."""
        engine = self._open(create=True)
        try:
            with Session(engine) as session:
                yield session
        except IntegrityError:
            raise
        except SQLAlchemyError as fault:
            raise database_fault(self._url, fault) from fault

    def _open(self, *, create: bool) -> Engine | None:
        """The engine once the database is known to be ours; ``None`` if there is none and none is wanted."""
        if self._engine is None:
            self._engine = open_engine(self._url, create=create)
        return self._engine

    def _clean(self, values: dict[str, Any]) -> dict[str, Any]:
        """Column values without keys and without what no database, or not this one, can hold."""
        secrets = secrets_of()
        unheld = _UNHELD if sqlite_file(self._url) else _UNHELD_BY_SERVERS
        return {name: _held(without_keys(value, secrets), unheld) for name, value in values.items()}


def _held(value: Any, unheld: re.Pattern[str]) -> Any:
    """The JSON value with every character that cannot be kept replaced, all the way down."""
    if isinstance(value, str):
        return value if value.isascii() and "\0" not in value else unheld.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, Mapping):
        return {_held(name, unheld): _held(item, unheld) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_held(item, unheld) for item in value]
    return value
