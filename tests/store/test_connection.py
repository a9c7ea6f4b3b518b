from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_runs import make_run, make_step
from sqlalchemy.exc import OperationalError

from finetrace.errors import FinetraceError
from finetrace.store import Store
from finetrace.store.tables import SCHEMA_VERSION


def _digest(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if not path.name.endswith(".lock")
    }


@pytest.mark.parametrize("left", [None, b""])
def test_what_lay_beside_a_lost_database_is_not_taken_into_a_new_one(data_dir: Path, left: bytes | None) -> None:
    path = _full_database(data_dir)
    path.unlink()
    if left is not None:
        path.write_bytes(left)
    path.with_name("finetrace.db-wal").write_bytes(b"pages")
    before = _digest(data_dir)
    for act in (Store.runs, lambda store: store.start_run(make_run("another"))):
        with pytest.raises(FinetraceError, match=r"nothing is left of it but finetrace\.db-wal") as told:
            act(Store())
        assert "-wal" in told.value.hint
    assert _digest(data_dir) == before


def _full_database(data_dir: Path) -> Path:
    store = Store()
    store.start_run(make_run())
    for number in range(1, 40):
        store.append_step(make_run().run_id, make_step(number, text=f"{number} " * 400))
    store.close()
    path = data_dir / "finetrace.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


def _cut(keep: Callable[[int], int]) -> Callable[[Path], None]:
    def damage(data_dir: Path) -> None:
        path = _full_database(data_dir)
        raw = path.read_bytes()
        path.write_bytes(raw[: keep(len(raw))])

    return damage


def _another_program(data_dir: Path) -> None:
    data_dir.mkdir()
    connection = sqlite3.connect(data_dir / "finetrace.db")
    connection.execute("CREATE TABLE schema_version (version INTEGER)")
    connection.execute("INSERT INTO schema_version VALUES (1)")
    connection.commit()
    connection.close()


def _no_database(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "finetrace.db").write_text("Dear diary,\nnothing happened.\n" * 50)


def _newer(data_dir: Path) -> None:
    connection = sqlite3.connect(_full_database(data_dir))
    connection.execute("UPDATE schema_version SET version = ?", (SCHEMA_VERSION + 1,))
    connection.commit()
    connection.close()


def _without_version(data_dir: Path) -> None:
    connection = sqlite3.connect(_full_database(data_dir))
    connection.execute("DELETE FROM schema_version")
    connection.commit()
    connection.close()


def _without_version_table(data_dir: Path) -> None:
    connection = sqlite3.connect(_full_database(data_dir))
    connection.execute("DROP TABLE schema_version")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        pytest.param(_cut(lambda size: 7), "cut short", id="seven bytes"),
        pytest.param(_cut(lambda size: 60), "cut short", id="half a header"),
        pytest.param(_cut(lambda size: size // 8192 * 4096), "damaged", id="half the pages"),
        pytest.param(_cut(lambda size: size - 100), "cut short", id="the last bytes missing"),
        pytest.param(_another_program, "another program", id="another program's"),
        pytest.param(_no_database, "not a SQLite database", id="text"),
        pytest.param(_newer, "newer finetrace", id="newer"),
        pytest.param(_without_version, "does not say which version", id="no version"),
        pytest.param(_without_version_table, "damaged", id="no version table"),
    ],
)
def test_a_file_that_cannot_be_used_is_left_as_it_is(
    data_dir: Path, damage: Callable[[Path], None], expected: str
) -> None:
    damage(data_dir)
    before = _digest(data_dir)
    for use in (
        lambda store: store.runs(),
        lambda store: store.start_run(make_run("another")),
        lambda store: store.append_step(make_run().run_id, make_step(99)),
    ):
        store = Store()
        with pytest.raises(FinetraceError, match=expected) as refused:
            use(store)
        store.close()
        assert refused.value.hint
        assert str(data_dir / "finetrace.db") in refused.value.message
    assert _digest(data_dir) == before


def test_a_sqlite_without_full_text_search_is_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_module(*_: object) -> None:
        raise OperationalError("CREATE", {}, sqlite3.OperationalError("no such module: fts5"))

    monkeypatch.setattr("finetrace.store.search_index.make_index", no_module)
    with pytest.raises(FinetraceError, match="no full-text search"):
        Store().start_run(make_run())
    assert not (data_dir / "finetrace.db").exists()


def test_damage_within_the_file_is_named(data_dir: Path) -> None:
    path = _full_database(data_dir)
    raw = bytearray(path.read_bytes())
    page = int.from_bytes(raw[16:18])
    raw[2 * page :] = b"\xa5" * (len(raw) - 2 * page)
    path.write_bytes(raw)
    before = _digest(data_dir)
    store = Store()
    with pytest.raises(FinetraceError, match="damaged"):
        store.steps(make_run().run_id)
    store.close()
    assert _digest(data_dir) == before


def test_a_file_without_a_byte_becomes_a_database(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "finetrace.db").touch()
    assert Store().runs() == []
    Store().start_run(make_run())
    assert len(Store().runs()) == 1


def test_a_new_database_waits_and_writes_ahead(data_dir: Path) -> None:
    store = Store()
    store.start_run(make_run())
    assert store.version() == SCHEMA_VERSION
    connection = sqlite3.connect(data_dir / "finetrace.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("SELECT version FROM schema_version").fetchall() == [(SCHEMA_VERSION,)]
    connection.close()


def test_what_is_not_there_is_null_in_the_tables(data_dir: Path) -> None:
    with Store() as store:
        store.start_run(make_run())
        store.append_step(make_run().run_id, make_step(1, reading=None))
    connection = sqlite3.connect(data_dir / "finetrace.db")
    assert connection.execute("SELECT COUNT(*) FROM run WHERE hypothesis IS NULL").fetchone() == (1,)
    assert connection.execute("SELECT COUNT(*) FROM step WHERE reading IS NULL").fetchone() == (1,)
    connection.close()


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / "file" / "data"))
    assert Store().runs() == []
    with pytest.raises(FinetraceError, match="data folder") as refused:
        Store().start_run(make_run())
    assert "FINETRACE_DATA_DIR" in refused.value.hint


def test_the_address_in_the_environment_is_used(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "else where?" / "runs.sqlite"
    monkeypatch.setenv("FINETRACE_DATABASE_URL", f"sqlite:///{tmp_path}/elsewhere/runs.sqlite")
    Store().start_run(make_run())
    assert (tmp_path / "elsewhere" / "runs.sqlite").is_file()
    assert not data_dir.exists()
    monkeypatch.delenv("FINETRACE_DATABASE_URL")
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(elsewhere.parent))
    Store().start_run(make_run())
    assert (elsewhere.parent / "finetrace.db").is_file()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nonsense", "cannot be understood"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("nosuchdatabase://me:hush-hush@host/name", "driver"),
        ("postgresql+nosuchdriver://me:hush-hush@host/name", "driver"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(
    url: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETRACE_DATABASE_URL", url)
    with pytest.raises(FinetraceError, match=expected) as refused:
        Store().runs()
    assert "hush" not in refused.value.message + refused.value.hint
