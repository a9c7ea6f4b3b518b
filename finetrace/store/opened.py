"""An open database: made when something is to be written, let go of at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlmodel import Session

from finetrace.redaction import secrets_of, without_keys
from finetrace.store.connection import database_fault, database_url, open_engine, shown_address
from finetrace.store.tables import SCHEMA_VERSION


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


def clean(values: dict[str, Any]) -> dict[str, Any]:
    """Column values without keys."""
    secrets = secrets_of()
    return {name: without_keys(value, secrets) for name, value in values.items()}
