"""`runs list` with conditions, `runs search`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from command_line import Command
from sample_runs import MOMENT, make_hypothesis, make_run, make_step

from finetrace.cli.run_filters import VerdictName, read_grade, read_since
from finetrace.errors import FinetraceError
from finetrace.schema import BenchRecord, GradeRecord, RunStatus, Usage, Verdict
from finetrace.store import GradeRange, Store

NASTY = "\x1b]0;owned\x07 \u202eevil [red]not markup[/red] \u2028\r"


@pytest.fixture
def filled(store: Store) -> Store:
    """Three runs, the second finished and graded, the third part of a benchmark."""
    for day, name in enumerate("abc"):
        settings = {"bench": "2026-bench"} if name == "c" else {}
        changes = {"organism": f"organism_{name}", "arm": "full@5", "settings": settings}
        store.start_run(make_run(name, started_at=MOMENT + timedelta(days=day), **changes))
        store.append_step(name, make_step(1, text=f"1. paid in marmalade, {name} " + "x" * 200))
    store.finish_run("b", RunStatus.FINISHED, make_hypothesis(), Usage())
    store.write_grade(GradeRecord(run_id="b", grader="g", grade={"score": 4}, graded_at=MOMENT))
    bench = {"bench_id": "2026-bench", "settings": {}, "units": (), "version": "0", "started_at": MOMENT}
    store.start_bench(BenchRecord(**bench))
    return store


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "cba"),
        (("--organism", "organism_a"), "a"),
        (("--arm", "full", "--investigator", "stat*", "--limit", "2"), "cb"),
        (("--verdict", "finetuned"), "b"),
        (("--grade", "4+"), "b"),
        (("--grade", "none"), "ca"),
        (("--since", "2026-11-22 09:00"), "cb"),
        (("--bench", "last"), "c"),
    ],
)
def test_the_list_and_the_search_keep_to_the_conditions(
    filled: Store, finetrace: Command, options: tuple[str, ...], expected: str
) -> None:
    listed = json.loads(finetrace("runs", "list", "--json", *options).out)
    found = json.loads(finetrace("runs", "search", "marmalade", "--json", *options).out)
    assert "".join(run["run_id"] for run in listed) == "".join(hit["run_id"] for hit in found) == expected
    shown = finetrace("runs", "list", *options).out.splitlines()[1:]
    assert "".join(line.split()[0] for line in shown) == expected
    assert [line.split()[-1] for line in shown if line.startswith("b")] == ["4"] * expected.count("b")


def test_very_many_runs_are_listed_alike(filled: Store, finetrace: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    few = finetrace("runs", "list").out
    monkeypatch.setattr("finetrace.cli.runs_list._FEW", 2)
    many = finetrace("runs", "list").out
    assert [line.split() for line in many.splitlines()] == [line.split() for line in few.splitlines()]
    assert many.splitlines()[2].index("statistical") == many.splitlines()[0].index("investigator")


def test_a_condition_that_nothing_meets_is_no_fault(filled: Store, finetrace: Command) -> None:
    ended = finetrace("runs", "list", "--organism", "nobody")
    assert (ended.code, ended.out) == (0, "") and "no run fits" in ended.err
    ended = finetrace("runs", "search", "quince")
    assert (ended.code, ended.out) == (0, "") and "no step holds that" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--grade", "6"),
        ("list", "--since", "soon"),
        ("list", "--bench", "nope"),
        ("list", "--verdict", "guilty"),
        ("search", '""'),
    ],
)
def test_a_condition_that_cannot_be_understood_is_refused(
    filled: Store, finetrace: Command, arguments: tuple[str, ...]
) -> None:
    ended = finetrace("runs", *arguments)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 2)


def test_what_is_found_is_shown_in_its_surroundings(filled: Store, finetrace: Command) -> None:
    ended = finetrace("runs", "search", "paid in", "MARMALADE", "--limit", "1")
    head, *lines = ended.out.splitlines()
    assert head == "c step 1 call perplexity_gap · organism_c · full@5 · statistical"
    assert [line.split()[0] for line in lines] == ["shown", "shown", "reading"]
    assert "1. paid in marmalade, c xxx" in lines[0] and lines[0].endswith("x…")
    assert "the latest 1; --limit shows more" in ended.err
    assert finetrace("runs", "search", '"marmalade in"').out == ""
    (hit,) = json.loads(finetrace("runs", "search", '"paid in marmalade"', "--in", "reading", "--json").out)[:1]
    assert hit["matches"] == [
        {"in": "reading", "before": "perplexity_gap\n", "match": "paid in marmalade", "after": ""}
    ]
    assert (hit["step"], hit["kind"], hit["instrument"]) == (1, "call", "perplexity_gap")


def test_what_is_found_cannot_act_on_the_terminal(store: Store, finetrace: Command) -> None:
    store.start_run(make_run("r", organism=NASTY))
    store.append_step("r", make_step(1, text=NASTY, thought=NASTY, instrument=NASTY))
    for options in ((), ("--json",)):
        out = finetrace("runs", "search", "evil", *options).out
        assert "evil" in out and not set("\x1b\x07\r\u202e\u2028") & set(out)


def test_grades_and_times_are_read() -> None:
    assert [read_grade(text) for text in ("4", "3-5", "5-3", "2+", "none")] == [
        GradeRange(4, 4),
        GradeRange(3, 5),
        GradeRange(3, 5),
        GradeRange(2, 5),
        GradeRange(0, 0),
    ]
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert read_since("36h", now) == read_since("2026-11-20", now) == datetime(2026, 11, 20, tzinfo=UTC)
    assert read_since("2026-11-20T02:00+02:00", now) == datetime(2026, 11, 20, tzinfo=UTC)
    for text in ("", "3", "3y", "999999w", "2026-13-01"):
        with pytest.raises(FinetraceError, match="no time"):
            read_since(text, now)
    assert {each.value for each in VerdictName} == {each.value for each in Verdict}
