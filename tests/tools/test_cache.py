from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from finetrace.errors import FinetraceError
from finetrace.tools.cache import ReadingCache

KEY = "ab" + "0" * 62

WRITE_MANY = """
import sys
from pathlib import Path
from pydantic import BaseModel
from finetrace.tools.cache import ReadingCache

class Note(BaseModel):
    text: str

cache = ReadingCache(Path(sys.argv[1]))
for _ in range(200):
    cache.write(sys.argv[2], Note(text=sys.argv[3] * 50_000))
"""


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str


class Count(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int


@pytest.fixture
def cache(tmp_path: Path) -> ReadingCache:
    return ReadingCache(tmp_path / "readings")


def entry(cache: ReadingCache) -> Path:
    (file,) = cache.folder.rglob("*.json")
    return file


def test_what_is_written_is_read_back_and_nothing_else_lies_there(cache: ReadingCache) -> None:
    assert cache.read(KEY, Note) is None
    cache.write(KEY, Note(text="naïve 東京\n"))
    assert cache.read(KEY, Note) == Note(text="naïve 東京\n")
    assert [path.name for path in cache.folder.rglob("*") if path.is_file()] == [f"{KEY}.json"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:40],
        lambda content: content[:-1],
        lambda content: content.replace(b"whole", b"wrong"),
        lambda content: content + b" ",
        lambda content: b"0" * 64 + content[64:],
        lambda content: b"\xff" + content,
        lambda content: content.partition(b"\n")[2],
    ],
    ids=["empty", "head only", "truncated", "changed", "longer", "wrong hash", "not ASCII", "no hash"],
)
def test_a_damaged_entry_is_not_trusted_and_can_be_written_again(cache: ReadingCache, damage) -> None:
    cache.write(KEY, Note(text="whole"))
    entry(cache).write_bytes(damage(entry(cache).read_bytes()))
    assert cache.read(KEY, Note) is None
    cache.write(KEY, Note(text="whole"))
    assert cache.read(KEY, Note) == Note(text="whole")


@pytest.mark.parametrize("payload", [b"not json", b"[]", b'{"text": 3}', b'{"text": "a", "more": 1}', b"\xff"])
def test_an_entry_of_another_form_is_not_trusted_though_its_hash_is_right(cache: ReadingCache, payload: bytes) -> None:
    cache.write(KEY, Note(text="whole"))
    entry(cache).write_bytes(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
    assert cache.read(KEY, Note) is None


def test_an_artefact_of_another_kind_is_not_taken_for_this_one(cache: ReadingCache) -> None:
    cache.write(KEY, Count(n=3))
    assert cache.read(KEY, Note) is None
    assert cache.read(KEY, Count) == Count(n=3)


def test_a_cache_that_is_switched_off_keeps_nothing(tmp_path: Path) -> None:
    cache = ReadingCache(tmp_path / "readings", enabled=False)
    cache.write(KEY, Note(text="a"))
    assert cache.read(KEY, Note) is None
    assert not cache.folder.exists()


def test_a_write_that_fails_keeps_the_entry_there_was(cache: ReadingCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write(KEY, Note(text="old"))

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", full)
        with pytest.raises(FinetraceError, match="No space left"):
            cache.write(KEY, Note(text="new"))
    assert cache.read(KEY, Note) == Note(text="old")
    assert len([path for path in cache.folder.rglob("*") if path.is_file()]) == 1


def test_a_folder_that_cannot_be_written_is_an_error_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = ReadingCache(tmp_path / "file" / "readings")
    assert cache.read(KEY, Note) is None
    with pytest.raises(FinetraceError, match="cannot write to the cache") as caught:
        cache.write(KEY, Note(text="a"))
    assert "FINETRACE_CACHE_DIR" in caught.value.hint


def test_two_processes_that_write_one_entry_leave_a_whole_one(cache: ReadingCache) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE_MANY, str(cache.folder), KEY, letter]) for letter in ("a", "b")
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        there = cache._path(KEY).exists()
        note = cache.read(KEY, Note)
        assert note is not None or not there, "half an entry was there to be read"
        seen |= {note.text} if note else set()
    assert [writer.returncode for writer in writers] == [0, 0]
    found = cache.read(KEY, Note)
    assert found is not None
    assert seen | {found.text} <= {"a" * 50_000, "b" * 50_000}
    assert len([path for path in cache.folder.rglob("*") if path.is_file()]) == 1
