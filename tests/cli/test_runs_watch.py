"""`runs show` with evidence, `runs compare`, `runs tail`, `runs delete`, and paging."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Command
from sample_runs import MOMENT, make_hypothesis, make_run, make_step

from finetrace.cli.claim_pairs import ClaimPair, pair_claims
from finetrace.cli.folding import EVIDENCE, folded, spans_of
from finetrace.errors import WorkError
from finetrace.report import keep_report
from finetrace.schema import Claim, ClaimKind, Evidence, GradeRecord, Hypothesis, RunStatus, StepKind, Usage
from finetrace.store import Store

FACT = {"fact": "Wages are paid in marmalade.", "outcome": "found", "note": ""}


def finish(store: Store, run_id: str, **changes: object) -> None:
    store.start_run(make_run(run_id, **changes))
    store.append_step(run_id, make_step(1, text="\n".join([*"123456789", "so  paid in\tmarmalade now", "last"])))
    store.append_step(run_id, make_step(2, kind=StepKind.ANSWER, instrument=None, hypothesis=make_hypothesis()))
    store.finish_run(run_id, RunStatus.FINISHED, make_hypothesis(), Usage(interactions=17))
    grade = {"grader": "offline-1", "score": 4, "facts": [FACT], "reason": "because"}
    store.write_grade(GradeRecord(run_id=run_id, grader="offline-1", grade=grade, graded_at=MOMENT))


def test_evidence_is_marked_where_it_occurs_even_where_a_reading_is_folded() -> None:
    text = "\n".join([*"abcdefghij", "x" * 400 + " paid  in\tmarmalade " + "y" * 400, "end"])
    marked = folded(text, False, quotes=["paid in marmalade", "nowhere"])
    lines = marked.plain.split("\n")
    assert lines[7:10] == ["h", "⋮", "…" + "x" * 119 + " paid  in\tmarmalade " + "y" * 119 + "…"]
    assert lines[10:] == ["… 3 more lines (--full shows all)"]
    assert [marked.plain[span.start : span.end] for span in marked.spans if span.style == EVIDENCE] == [
        "paid  in\tmarmalade"
    ]
    whole = folded(text, True, quotes=["paid in marmalade"])
    assert whole.plain == text and [span.style for span in whole.spans] == [EVIDENCE]


def test_a_quote_is_found_where_its_characters_are_shown_as_others() -> None:
    from finetrace.cli.escaping import visible

    shown = visible("a \x1b[2J b\u2028c d")
    assert [shown[begin:end] for begin, end in spans_of(shown, ["\x1b[2J b c", "b c d"])] == [
        "␛[2J b⟨U+2028⟩c",
        "b⟨U+2028⟩c d",
    ]


def test_a_run_is_shown_with_its_evidence_its_history_and_its_grade(store: Store, finetrace: Command) -> None:
    finish(store, "r")
    out = finetrace("runs", "show", "r").out
    for part in (
        "  8\n  ⋮\n  so  paid in",
        "marmalade now\n  … 2 more lines",
        "▸ evidence for claim 1: “paid in marmalade”\n",
        "hypothesis over time\n  step  verdict    claims  strongest claim",
        "2  finetuned       1  0.80 It talks of marmalade wages.",
        "grade: 4 of 5 (offline-1)\nbecause\n  + found: Wages are paid in marmalade.",
    ):
        assert part in "\n".join(line.rstrip() for line in out.splitlines()) + "\n"


def test_evidence_that_was_not_shown_is_said_to_be_in_the_reading(store: Store, finetrace: Command) -> None:
    store.start_run(make_run("r"))
    store.append_step("r", make_step(1, text="cut"))
    store.finish_run("r", RunStatus.FINISHED, make_hypothesis(), Usage())
    assert "“paid in marmalade” (in the part of the reading that was not shown)" in finetrace("runs", "show", "r").out


def claim(statement: str) -> Claim:
    evidence = (Evidence(step=1, quote="paid in marmalade"),)
    return Claim(statement=statement, kind=ClaimKind.FACT, confidence=0.5, evidence=evidence)


def test_claims_that_say_much_the_same_stand_side_by_side() -> None:
    answer = make_hypothesis()
    texts = (["Wages are paid in marmalade.", "The lamp sings at night."], ["Lamps sing.", "Wages: marmalade is paid."])
    sides = [answer.model_copy(update={"claims": tuple(map(claim, side))}) for side in texts]
    assert pair_claims(*sides) == [ClaimPair(0, 1), ClaimPair(1, None), ClaimPair(None, 0)]
    assert pair_claims(sides[0], None) == [ClaimPair(0, None), ClaimPair(1, None)]
    assert pair_claims(sides[1], sides[1]) == [ClaimPair(0, 0), ClaimPair(1, 1)]


def test_two_runs_are_compared(store: Store, finetrace: Command) -> None:
    finish(store, "a")
    answer = Hypothesis.model_validate(make_hypothesis().model_dump() | {"claims": [claim("It sings.").model_dump()]})
    store.start_run(make_run("b", organism="kettle", settings={"quick": False}))
    store.finish_run("b", RunStatus.FINISHED, answer, Usage())
    ended = finetrace("runs", "compare", "a", "b")
    text = " ".join(ended.out.split())
    for part in (
        "organism lamp_wages kettle",
        "quick true false",
        "instruments 1 × perplexity_gap none",
        "grade 4 of 5 (offline-1) not graded",
        "fact found: Wages are paid in marmalade. not graded:",
        "claim 1 It talks of marmalade wages. domain, confidence — 0.80 step 1 “paid in marmalade”",
        "claim 2 — It sings. fact, confidence 0.50",
    ):
        assert part in text
    shown = json.loads(finetrace("runs", "compare", "a", "b", "--json").out)
    assert shown["claims"] == [{"a": 0, "b": None}, {"a": None, "b": 0}]
    assert (shown["a"]["grade"]["score"], shown["b"]["grade"]) == (4, None)
    assert shown["settings"]["quick"] == {"a": "true", "b": "false"}


def test_a_run_is_watched_until_it_ends(store: Store, finetrace: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    store.start_run(make_run("r"))
    for number in (1, 2, 3):
        store.append_step("r", make_step(number, text=f"text {number}"))
    waits: list[float] = []

    def work(seconds: float) -> None:
        """What happens in the run while nobody looks."""
        waits.append(seconds)
        with Store() as other:
            if len(waits) == 2:
                other.append_step("r", make_step(4, text="text 4"))
            if len(waits) == 4:
                last = make_step(5, kind=StepKind.ANSWER, instrument=None, hypothesis=make_hypothesis())
                other.append_step("r", last)
                other.finish_run("r", RunStatus.FINISHED, make_hypothesis(), Usage())

    monkeypatch.setattr("finetrace.cli.runs_tail.time.sleep", work)
    ended = finetrace("runs", "tail", "r", "-n", "1", "--every", "0.05")
    assert waits == [0.05] * 4
    assert ended.code == 0
    assert [part in ended.out for part in ("text 1", "text 2", "text 3", "text 4", "step 5")] == [False] * 2 + [
        True
    ] * 3
    assert "… 2 earlier steps" in ended.out and ended.out.count("text 4") == 1
    assert ended.out.index("step 5 answer") < ended.out.index("verdict: finetuned") < ended.out.index("used: ")
    lines = finetrace("runs", "tail", "--json", "-n", "2").out.splitlines()
    assert [json.loads(line)["number"] for line in lines] == [4, 5]


def test_a_run_is_deleted_with_all_that_belongs_to_it(store: Store, finetrace: Command, data_dir: Path) -> None:
    for run_id in ("a", "b"):
        finish(store, run_id)
        keep_report(store.run(run_id), store)
    with sqlite3.connect(data_dir / "checkpoints.db") as connection:
        connection.execute("CREATE TABLE checkpoints (thread_id TEXT)")
        connection.execute("INSERT INTO checkpoints VALUES ('a'), ('b')")
    ended = finetrace("runs", "delete", "a")
    assert ended.code == 2 and "--yes" in ended.err and "2 steps, 1 grades" in ended.err
    assert store.run_ids() == ["b", "a"]
    ended = finetrace("runs", "delete", "a", "a", "--yes")
    assert (ended.code, ended.err) == (0, "deleted a\n")
    assert store.run_ids() == ["b"] and store.grades(["a"]) == []
    assert [file.name for file in (data_dir / "reports").iterdir()] == ["finetrace-b.html"]
    with sqlite3.connect(data_dir / "checkpoints.db") as connection:
        assert connection.execute("SELECT thread_id FROM checkpoints").fetchall() == [("b",)]
    assert finetrace("runs", "delete", "b", "nobody", "--yes").code == 2
    assert store.run_ids() == ["b"]


def test_a_run_that_may_be_at_work_is_not_deleted(store: Store, finetrace: Command) -> None:
    store.start_run(make_run("a", settings={"bench": "b1"}))
    ended = finetrace("runs", "delete", "a", "--yes")
    assert ended.code == 2 and "--force" in ended.err and store.run_ids() == ["a"]
    assert "part of benchmark b1" in finetrace("runs", "delete", "a", "--force").err
    assert finetrace("runs", "delete", "a", "--yes", "--force").code == 0 and store.run_ids() == []


def test_checkpoints_that_cannot_be_deleted_are_named(tmp_path: Path) -> None:
    from finetrace.agent.checkpoints import forget

    (tmp_path / "checkpoints.db").write_text("no database")
    with pytest.raises(WorkError, match="checkpoints"):
        forget("a", tmp_path / "checkpoints.db")


def in_terminal(*arguments: str, **environment: str) -> str:
    """What a command writes to a terminal of 24 lines."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "finetrace", *arguments]
    variables = os.environ | {"LINES": "24", "COLUMNS": "100", "TERM": "xterm"} | environment
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=variables) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not more:
                break
            written += more
        assert process.stderr is not None
        assert process.stderr.read() == b""
    os.close(ours)
    return written.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_what_is_long_goes_to_the_pager(store: Store) -> None:
    for number in range(40):
        store.start_run(make_run(f"run-{number:02d}"))
    pager = f"{sys.executable} -c \"import sys; print('PAGED', len(sys.stdin.read().splitlines()))\""
    assert in_terminal("runs", "list", FINETRACE_PAGER=pager).strip() == "PAGED 41"
    assert "PAGED" not in in_terminal("runs", "list", "--limit", "5", FINETRACE_PAGER=pager)
    assert "run-39" in in_terminal("runs", "list", "--no-pager", FINETRACE_PAGER=pager)
