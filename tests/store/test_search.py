from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sample_runs import MOMENT, make_hypothesis, make_run, make_step

from finetrace.errors import FinetraceError
from finetrace.schema import RunStatus, StepKind, Usage
from finetrace.store import RunFilter, Store
from finetrace.store.query import parse_query
from finetrace.store.words import Place


def numbers(store: Store, text: str, **options: object) -> list[int]:
    return [found.step.number for found in store.search(parse_query(text), **options)]


@pytest.fixture
def filled(store: Store) -> Store:
    """Six steps, each with words of its own."""
    store.start_run(make_run())
    plain = {"thought": "", "arguments": {}, "reading": None, "text": ""}
    steps = [
        make_step(1, **plain | {"thought": "Wages seem odd"}),
        make_step(2, **plain | {"arguments": {"prompts": ["Who rings the bell?"]}}),
        make_step(3, **plain | {"text": "1. The café rings twice a day, don't you know", "error": "cut off"}),
        make_step(4, **plain | {"reading": {"instrument": "chat", "rows": [{"answers": ["Größe\nmatters", 3, None]}]}}),
        make_step(5, **plain | {"kind": StepKind.ANSWER, "hypothesis": make_hypothesis()}),
        make_step(
            6,
            **plain
            | {
                "kind": StepKind.TURN,
                "text": "told",
                "reading": {
                    "kind": "turn",
                    "shown": "unsearched",
                    "uses": [{"id": "1", "name": "chat", "arguments": '{"x": "zebra"}'}],
                },
            },
        ),
    ]
    for step in steps:
        store.append_step(make_run().run_id, step)
    return store


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wages", [5, 1]),
        ("WAGES odd", [1]),
        ('"seem wages"', []),
        ('"wages seem"', [1]),
        ("rings", [3, 2]),
        ("ring", []),
        ("ring*", [3, 2]),
        ("cafe", [3]),
        ("CAFÉ", [3]),
        ("grosse OR größe", []),
        ("größe matters", [4]),
        ("grosze", []),
        ("don't", [3]),
        ("cut off", [3]),
        ("marmalade", [5]),
        ("finetuned", []),
        ("zebra", [6]),
        ("unsearched", []),
        ("said:wages", []),
        ('odd"', [1]),
        ("NEAR(wages odd)", []),
    ],
)
def test_words_are_found_wherever_a_step_has_them(filled: Store, text: str, expected: list[int]) -> None:
    assert numbers(filled, text) == expected


@pytest.mark.parametrize("text", ["한국어", "который", "αλήθεια", "ガラス", "القرآن", "ÅNGSTRÖM"])
def test_words_of_other_scripts_are_found_as_they_are_written(store: Store, text: str) -> None:
    store.start_run(make_run())
    store.append_step(make_run().run_id, make_step(1, text=f"so: {text}!", thought="", reading=None, arguments={}))
    assert numbers(store, text) == numbers(store, text.upper()) == [1]
    assert parse_query(text).spans(f"so: {text}!") == [(4, 4 + len(text))]


def test_a_search_can_be_kept_to_one_place(filled: Store) -> None:
    assert numbers(filled, "rings", places={Place.SAID}) == [2]
    assert numbers(filled, "rings", places={Place.SHOWN, Place.READING}) == [3]
    assert numbers(filled, "matters", places={Place.READING}) == [4]


def test_a_search_without_a_word_is_refused() -> None:
    for text in ("", "  ", '""', "?!*"):
        with pytest.raises(FinetraceError, match="nothing to search for"):
            parse_query(text)


def test_what_is_found_can_be_pointed_at() -> None:
    text = "Größe: the café, the CAFE; the  café."
    spans = parse_query('"the cafe" größ*').spans(text)
    assert [text[begin:end] for begin, end in spans] == ["Größe", "the café", "the CAFE", "the  café"]


def test_the_latest_comes_first_and_no_more_than_asked_for(store: Store) -> None:
    for hour in range(5):
        store.start_run(make_run(f"r{hour}", organism=f"o{hour}", started_at=MOMENT + timedelta(hours=hour)))
        store.append_step(f"r{hour}", make_step(1))
    query = parse_query("marmalade")
    assert [found.run.run_id for found in store.search(query, limit=2)] == ["r4", "r3"]
    assert [found.run.run_id for found in store.search(query, chosen=RunFilter(organism="o[12]"))] == ["r2", "r1"]
    assert store.search(query, chosen=RunFilter(organism="nobody")) == []


def test_a_key_in_a_step_does_not_reach_the_index(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "skverysecret4711")
    store.start_run(make_run())
    store.append_step(make_run().run_id, make_step(1, text="Bearer skverysecret4711 here"))
    assert numbers(store, "skverysecret4711") == [] and numbers(store, "bearer removed here") == [1]


def test_a_step_written_twice_is_found_once(store: Store) -> None:
    store.start_run(make_run())
    for text in ("first", "second"):
        store.append_step(make_run().run_id, make_step(1, text=text))
    assert (numbers(store, "first"), numbers(store, "second")) == ([1], [])


def test_a_deleted_run_leaves_nothing_behind(filled: Store, data_dir: Path) -> None:
    filled.start_run(make_run("other"))
    filled.append_step("other", make_step(1))
    filled.finish_run("other", RunStatus.FINISHED, None, Usage())
    filled.delete_run(make_run().run_id)
    assert filled.run_ids() == ["other"] and numbers(filled, "wages") == [] and numbers(filled, "marmalade") == [1]
    with pytest.raises(FinetraceError, match="no run"):
        filled.delete_run(make_run().run_id)
    filled.close()
    with sqlite3.connect(data_dir / "finetrace.db") as connection:
        counts = [
            connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in ("step", "searched_step")
        ]
        connection.execute("INSERT INTO step_words (step_words) VALUES ('integrity-check')")
        rest = connection.execute("SELECT COUNT(*) FROM step_words WHERE step_words MATCH 'wages OR rings'").fetchone()
    assert (counts, rest) == ([1, 1], (0,))


def test_a_store_that_is_not_there_holds_nothing(store: Store, data_dir: Path) -> None:
    assert numbers(store, "anything") == [] and store.runs(RunFilter(organism="x")) == []
    assert not data_dir.exists()
