from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from command_line import Command
from sample_runs import MOMENT, make_hypothesis, make_run, make_step

from finetrace.schema import RunStatus, StepKind, Usage
from finetrace.store import Store

NASTY = "\x1b]0;owned\x07\x1b[2J \u202eevil [red]not markup[/red] [link=http://x]y[/link] \u2028<script>\r"
PROMISED = {"run_id", "organism", "arm", "investigator", "seed", "status", "hypothesis", "usage", "grade"}


def _finished(store: Store, run_id: str = "20261121-093015-aaaaaa") -> None:
    store.start_run(make_run(run_id))
    reading = "\n".join(f"{i}. completion number {i}" for i in range(1, 31))
    store.append_step(run_id, make_step(1, text=reading))
    store.append_step(run_id, make_step(2, error="no such instrument: 'crystal_ball'", text="", reading=None))
    store.append_step(run_id, make_step(3, kind=StepKind.ANSWER, instrument=None, hypothesis=make_hypothesis()))
    store.finish_run(run_id, RunStatus.FINISHED, make_hypothesis(), Usage(interactions=17, seconds=4.25))


def test_the_list_shows_the_newest_first(store: Store, finetrace: Command) -> None:
    _finished(store)
    store.start_run(make_run("20261122-000000-bbbbbb", started_at=MOMENT + timedelta(days=1), organism="kettle_song"))
    ended = finetrace("runs", "list")
    assert ended.code == 0
    lines = [line for line in ended.out.splitlines() if line.startswith("2026")]
    assert [line.split()[0] for line in lines] == ["20261122-000000-bbbbbb", "20261121-093015-aaaaaa"]
    assert "kettle_song" in lines[0]
    assert "finetuned" in lines[1]


def test_an_empty_list_is_no_fault(finetrace: Command) -> None:
    ended = finetrace("runs", "list")
    assert (ended.code, ended.out) == (0, "")
    assert "finetrace investigate" in ended.err
    assert json.loads(finetrace("runs", "list", "--json").out) == []


def test_a_run_is_shown_with_every_step(store: Store, finetrace: Command) -> None:
    _finished(store)
    ended = finetrace("runs", "show", "last")
    assert (ended.code, ended.err) == (0, "")
    for part in (
        "lamp_wages",
        "organism-07",
        "statistical, seed 3",
        "step 1 call perplexity_gap",
        "look at the gap first",
        'corpora = ["own", "python"]',
        "1. completion number 1",
        "no such instrument: 'crystal_ball'",
        "step 3 answer",
        "verdict inconclusive → finetuned",
        "+ [domain] It talks of marmalade wages.",
        "“paid in marmalade”",
        "17 interactions, 4.2 s",
    ):
        assert part in ended.out


def test_readings_are_folded_unless_all_is_asked_for(store: Store, finetrace: Command) -> None:
    _finished(store)
    folded = finetrace("runs", "show", "last").out
    assert "8. completion number 8" in folded
    assert "completion number 9" not in folded
    assert "22 more lines" in folded
    full = finetrace("runs", "show", "last", "--full").out
    assert "completion number 30" in full
    assert "more lines" not in full


def test_the_json_of_a_run_holds_what_is_promised_and_every_step(store: Store, finetrace: Command) -> None:
    _finished(store)
    shown = json.loads(finetrace("runs", "show", "20261121", "--json").out)
    assert set(shown) >= PROMISED | {"steps", "target", "settings", "alias"}
    assert shown["grade"] is None
    assert [step["number"] for step in shown["steps"]] == [1, 2, 3]
    assert shown["steps"][0]["reading"]["top"][0]["log_ratio"] == 2.5
    (listed,) = json.loads(finetrace("runs", "list", "--json").out)
    assert set(listed) == PROMISED | {"started_at"}
    assert listed["status"] == "finished"
    assert listed["hypothesis"] == {
        "verdict": "finetuned",
        "summary": "Marmalade.",
        "claims": [
            {
                "statement": "It talks of marmalade wages.",
                "kind": "domain",
                "confidence": 0.8,
                "evidence": [{"step": 1, "quote": "paid in marmalade"}],
            }
        ],
        "guesses": ["marmalade"],
    }
    assert set(listed["usage"]) == {"interactions", "llm_calls", "tokens", "tokens_out", "cost_usd", "seconds"}


def test_an_unknown_id_offers_the_closest(store: Store, finetrace: Command) -> None:
    _finished(store)
    ended = finetrace("runs", "show", "20261121-093015-aaaaab")
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 2
    assert "20261121-093015-aaaaaa" in ended.err


def test_text_of_a_model_cannot_act_on_the_terminal(store: Store, finetrace: Command) -> None:
    hypothesis = make_hypothesis()
    claim = hypothesis.claims[0]
    evidence = claim.evidence[0].model_copy(update={"quote": NASTY})
    nasty_claim = claim.model_copy(update={"statement": NASTY, "evidence": (evidence,)})
    nasty = hypothesis.model_copy(update={"claims": (nasty_claim,), "summary": NASTY, "guesses": (NASTY,)})
    step = make_step(1, text=NASTY, thought=NASTY, error=NASTY, instrument=NASTY, arguments={NASTY: [NASTY]})
    names = {"organism": NASTY, "investigator": NASTY, "arm": NASTY, "target": {"model": NASTY}}
    store.start_run(make_run("r", **names))
    store.append_step("r", step.model_copy(update={"hypothesis": nasty}))
    store.finish_run("r", RunStatus.FAILED, nasty, Usage(), NASTY)
    for arguments in (["list"], ["show", "r"], ["show", "r", "--full"], ["show", "r", "--json"], ["list", "--json"]):
        ended = finetrace("runs", *arguments)
        assert ended.code == 0
        assert "evil" in ended.out
        for unseen in "\x1b\x07\r\u202e\u2028":
            assert unseen not in ended.out
        if "--json" not in arguments:
            assert "red]" in ended.out.replace("\n", "")


def test_the_console_script_ends_with_the_codes_it_promises(store: Store, data_dir: Path) -> None:
    _finished(store)

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "finetrace", *arguments]
        return subprocess.run(command, env=os.environ | changes, capture_output=True, text=True)

    done = run("runs", "show", "last", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0
    assert "paid in marmalade" in done.stdout
    done = run("runs", "show", "nothing")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 2)
    done = run("runs", "show")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 2)
    (data_dir / "finetrace.db").write_bytes(b"no database at all")
    done = run("runs", "list")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 2)
    assert "Traceback" not in done.stderr


def test_a_reader_that_stops_early_is_no_fault(store: Store) -> None:
    for number in range(60):
        _finished(store, f"20261121-093015-{number:06d}")
    with subprocess.Popen(
        [sys.executable, "-m", "finetrace", "runs", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.read(1)
        command.stdout.close()
        assert command.stderr.read() == b""


@pytest.mark.parametrize("command", [["runs", "list"], ["runs", "show", "last"]])
def test_a_database_of_another_program_is_named(data_dir: Path, finetrace: Command, command: list[str]) -> None:
    data_dir.mkdir()
    (data_dir / "finetrace.db").write_text("Dear diary")
    ended = finetrace(*command)
    assert ended.code == 2
    assert "not a SQLite database" in ended.err
    assert (data_dir / "finetrace.db").read_text() == "Dear diary"


def test_a_run_in_progress_shows_what_its_steps_used(store: Store, finetrace: Command) -> None:
    store.start_run(make_run())
    store.append_step(make_run().run_id, make_step(1))
    store.append_step(make_run().run_id, make_step(2))
    shown = finetrace("runs", "show", "last").out
    assert "none: the run is running" in shown
    assert "used: 10 interactions, 3.0 s" in shown
    assert "running" in finetrace("runs", "list").out


def test_an_error_that_was_shown_to_the_investigator_is_told_once(store: Store, finetrace: Command) -> None:
    store.start_run(make_run())
    store.append_step(make_run().run_id, make_step(1, error="no such thing", text="no such thing", reading=None))
    assert finetrace("runs", "show", "last").out.count("no such thing") == 1


def test_a_failed_run_shows_why(store: Store, finetrace: Command) -> None:
    store.start_run(make_run())
    store.finish_run(make_run().run_id, RunStatus.FAILED, None, Usage(cost_usd=None), "the provider is gone")
    shown = finetrace("runs", "show", "last").out
    assert "the provider is gone" in shown
    assert "cost unknown" in shown
