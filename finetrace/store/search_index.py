"""The full-text index over steps: what it is in each database, how a step gets in and out, how it is asked.

SQLite has a contentless FTS5 table, so no text is stored twice; PostgreSQL has one column of lexemes. Which row of the
index belongs to which step, ``searched_step`` says. Both are filled by `add`, in the transaction that writes the step.
Steps that were there before the index get their places in it at once, in the order in which they were taken, and their
words when somebody first searches: no other command has to wait for that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, text
from sqlmodel import SQLModel

from finetrace.schema import Step
from finetrace.store.query import Query, fold
from finetrace.store.tables import StepRow, step_of
from finetrace.store.words import Place, Words, words_of

_SQLITE = (
    "CREATE TABLE searched_step (id INTEGER PRIMARY KEY, run_id VARCHAR NOT NULL, number INTEGER NOT NULL, "
    "filled INTEGER NOT NULL, UNIQUE (run_id, number), FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE)",
    "CREATE VIRTUAL TABLE step_words USING fts5("
    "said, shown, reading, content='', tokenize='unicode61 remove_diacritics 2')",
)
_POSTGRESQL = (
    "CREATE TABLE searched_step (id BIGSERIAL PRIMARY KEY, run_id VARCHAR NOT NULL, number INTEGER NOT NULL, "
    "said TSVECTOR NOT NULL, shown TSVECTOR NOT NULL, reading TSVECTOR NOT NULL, "
    "filled INTEGER NOT NULL, UNIQUE (run_id, number), FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE)",
    # One index for all places: PostgreSQL adds up the columns of a row, which the search does too.
    "CREATE INDEX searched_step_words ON searched_step USING GIN ((said || shown || reading))",
)
_TO_FILL = "CREATE INDEX searched_step_to_fill ON searched_step (id) WHERE filled = 0"
_ENTRY = "INSERT INTO searched_step (run_id, number, filled) VALUES (:run_id, :number, 1)"
_LEXEME_ENTRY = (
    "INSERT INTO searched_step (run_id, number, filled, said, shown, reading) VALUES (:run_id, :number, 1, "
    "to_tsvector('simple', :said), to_tsvector('simple', :shown), to_tsvector('simple', :reading))"
)
_ENTRIES = (
    "INSERT INTO searched_step (run_id, number, filled{columns}) SELECT step.run_id, step.number, 0{empty} FROM step "
    "WHERE NOT EXISTS (SELECT 1 FROM searched_step AS known WHERE known.run_id = step.run_id "
    "AND known.number = step.number) ORDER BY step.started_at, step.run_id, step.number ON CONFLICT DO NOTHING"
)
_WORDS = "INSERT INTO step_words (rowid, said, shown, reading) VALUES (:id, :said, :shown, :reading)"
_FILLED = "UPDATE searched_step SET filled = 1 WHERE id = :id"
_LEXEMES = (
    "UPDATE searched_step SET filled = 1, said = to_tsvector('simple', :said), shown = to_tsvector('simple', :shown), "
    "reading = to_tsvector('simple', :reading) WHERE id = :id"
)
_FORGET = (
    "INSERT INTO step_words (step_words, rowid, said, shown, reading) VALUES ('delete', :id, :said, :shown, :reading)"
)
_LEXEME_CHARACTERS = 80_000
"""Of one place: PostgreSQL takes a megabyte of lexemes in one value. SQLite has no such bound."""
_STEP = SQLModel.metadata.tables[str(StepRow.__tablename__)]
_COUNTED = ("step", "searched_step")
_WORD = re.compile(r"[^\W_]+")


class Hit(NamedTuple):
    """A step in which everything that was searched for occurs."""

    run_id: str
    number: int


def make_index(connection: Connection) -> None:
    """Make the empty index in a database that has none, with a place in it for each step that is there."""
    for statement in (*(_SQLITE if _is_sqlite(connection) else _POSTGRESQL), _TO_FILL):
        connection.exec_driver_sql(statement)
    add_entries(connection)


def lacks_entries(connection: Connection) -> bool:
    """Whether a finetrace without an index has written steps since."""
    counts = [connection.exec_driver_sql(f"SELECT COUNT(*) FROM {each}").scalar_one() for each in _COUNTED]
    return bool(counts[0] != counts[1])


def add_entries(connection: Connection) -> None:
    """Give a place to every step that has none."""
    servers = {"columns": ", said, shown, reading", "empty": ", '', '', ''"}
    connection.exec_driver_sql(_ENTRIES.format(**({"columns": "", "empty": ""} if _is_sqlite(connection) else servers)))


def add(connection: Connection, run_id: str, step: Step) -> None:
    """Put a step that was just written into the index."""
    words, entry = words_of(step), {"run_id": run_id, "number": step.number}
    if _is_sqlite(connection):
        place = connection.execute(text(_ENTRY), entry).lastrowid
        connection.execute(text(_WORDS), {"id": place, **words._asdict()})
    else:
        connection.execute(text(_LEXEME_ENTRY), entry | _plain_words(words))


def to_fill(connection: Connection) -> int:
    """Steps whose place is still empty."""
    return int(connection.exec_driver_sql("SELECT COUNT(*) FROM searched_step WHERE filled = 0").scalar_one())


def hold(connection: Connection) -> None:
    """Have a SQLite database to oneself until the end of the transaction: somebody else may be doing the same."""
    if _is_sqlite(connection):
        connection.exec_driver_sql("UPDATE searched_step SET filled = 0 WHERE id < 0")


def fill_some(connection: Connection, limit: int) -> int:
    """Fill so many of the places that are empty, the latest first, and say how many were."""
    chosen = "SELECT id, run_id, number FROM searched_step WHERE filled = 0 ORDER BY id DESC LIMIT :limit"
    hold(connection)
    if not _is_sqlite(connection):
        chosen += " FOR UPDATE"
    places = connection.execute(text(chosen), {"limit": limit}).all()
    for place, run_id, number in places:
        row = connection.execute(select(_STEP).where(_STEP.c.run_id == run_id, _STEP.c.number == number))
        _fill(connection, place, step_of(StepRow(**row.mappings().one())))
    return len(places)


def _fill(connection: Connection, place: int, step: Step) -> None:
    words = words_of(step)
    if _is_sqlite(connection):
        connection.execute(text(_WORDS), {"id": place, **words._asdict()})
        connection.execute(text(_FILLED), {"id": place})
    else:
        connection.execute(text(_LEXEMES), {"id": place, **_plain_words(words)})


def forget(connection: Connection, run_id: str, steps: Iterable[Step]) -> None:
    """Take the steps of a run out, before they are deleted; what was put in must be named again."""
    if _is_sqlite(connection):
        chosen = text("SELECT number, id FROM searched_step WHERE run_id = :run_id AND filled = 1")
        ids = {number: entry for number, entry in connection.execute(chosen, {"run_id": run_id})}
        for step in steps:
            if step.number in ids:
                connection.execute(text(_FORGET), {"id": ids[step.number], **words_of(step)._asdict()})
    connection.execute(text("DELETE FROM searched_step WHERE run_id = :run_id"), {"run_id": run_id})


def find(
    connection: Connection, query: Query, *, places: Collection[Place], runs: Sequence[str] | None, limit: int
) -> list[Hit]:
    """Steps that hold the whole query, the latest first.

    Args:
        connection: To a database with an index.
        query: What to look for.
        places: Where; all parts of the query may stand in different ones of these.
        runs: Only steps of these runs; ``None`` for all.
        limit: At most so many.
    """
    if _is_sqlite(connection):
        return _find_in_sqlite(connection, query, places, runs, limit)
    names = [place.value for place in Place if place in places]
    held = " || ".join(names)
    # The planner takes the index for the sum of all three; for fewer places the rows found are looked at once more.
    sql = (
        "SELECT run_id, number FROM searched_step WHERE (said || shown || reading) @@ to_tsquery('simple', :query) "
        f"AND ({held}) @@ to_tsquery('simple', :query) "
    )
    values: dict[str, Any] = {"query": query.for_postgresql(), "limit": limit}
    if runs is not None:
        sql += "AND run_id = ANY(:runs) "
        values["runs"] = list(runs)
    return [Hit(*row) for row in connection.execute(text(f"{sql}ORDER BY id DESC LIMIT :limit"), values)]


def _find_in_sqlite(
    connection: Connection, query: Query, places: Collection[Place], runs: Sequence[str] | None, limit: int
) -> list[Hit]:
    match = query.for_sqlite()
    if set(places) != set(Place):
        match = f"{{{' '.join(place.value for place in Place if place in places)}}} : ({match})"
    values: dict[str, Any] = {"match": match, "limit": limit}
    # CROSS JOIN keeps the order: the words are looked up first, and the index gives the latest first by itself.
    sql = (
        "SELECT searched_step.run_id, searched_step.number FROM step_words "
        "CROSS JOIN searched_step ON searched_step.id = step_words.rowid WHERE step_words MATCH :match "
    )
    if runs is not None:
        sql += "AND searched_step.run_id IN (SELECT value FROM json_each(:runs)) "
        values["runs"] = json.dumps(list(runs))
    found = connection.execute(text(f"{sql}ORDER BY step_words.rowid DESC LIMIT :limit"), values)
    return [Hit(*row) for row in found]


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _plain_words(words: Words) -> dict[str, str]:
    """The texts as bare words: PostgreSQL's own parser would make addresses and numbers of them, SQLite's does not."""
    return {place.value: " ".join(_WORD.findall(fold(words.at(place)[:_LEXEME_CHARACTERS]))) for place in Place}
