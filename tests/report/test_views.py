"""The parts of a report that are worked out before anything is drawn."""

from __future__ import annotations

import subprocess
import sys

from finetrace.report.held import held_over_time, tracks
from finetrace.report.ledger import ledger
from finetrace.report.page import dollars, duration, percent, signed
from finetrace.report.svg import element, ticks, time_ticks
from finetrace.schema import Usage

from .whole_run import whole_run


def test_the_ledger_says_what_was_used_of_what_was_allowed() -> None:
    stored = whole_run()
    made = ledger(stored.run, stored.steps)
    lines = {line.name: line for line in made.lines}
    assert (lines["organism interactions"].used, lines["organism interactions"].allowed) == ("42", "50")
    assert lines["organism interactions"].share == 0.84 and not lines["organism interactions"].over
    assert (lines["tokens"].allowed, lines["tokens"].share) == ("", None)
    assert made.steps[-1].total.interactions == sum(step.usage.interactions for step in stored.steps)
    over = ledger(stored.run.model_copy(update={"settings": {"budget": {"interactions": 40, "seconds": 0}}}), ())
    assert over.lines[0].over and over.lines[0].share == over.lines[-1].share == 1.0
    going_on = ledger(stored.run.model_copy(update={"finished_at": None, "settings": {}}), stored.steps)
    assert going_on.used == made.steps[-1].total
    unknown = stored.run.model_copy(update={"usage": Usage(cost_usd=None), "settings": {"budget": {"cost_usd": 1}}})
    cost = next(line for line in ledger(unknown, ()).lines if line.name == "cost")
    assert (cost.used, cost.share) == ("unknown", None)


def test_the_hypothesis_over_time_tells_what_each_step_changed() -> None:
    steps = whole_run().steps
    first, checked, answer = held_over_time(steps)
    assert [change.sign for change in first.changes] == ["=", "=", "=", "=", "+", "+"]
    assert [(change.sign, change.remark) for change in checked.changes] == [("~", "confidence 0.90 → 0.80")]
    assert answer.changes == ()
    assert [track.confidences for track in tracks(steps)] == [(0.9, 0.8, 0.8), (0.4, 0.4, 0.4)]
    assert steps[-1].hypothesis is not None
    claims = [claim.model_copy(update={"evidence": claim.evidence[::-1]}) for claim in steps[-1].hypothesis.claims]
    other = steps[-1].hypothesis.model_copy(update={"claims": tuple(claims), "guesses": ()})
    told = held_over_time([*steps, steps[-1].model_copy(update={"hypothesis": other})])[-1].changes
    assert {(each.sign, each.what) for each in told} >= {("=", "guesses")}
    less = [
        step.model_copy(update={"hypothesis": step.hypothesis.model_copy(update={"claims": ()})})
        if step.number == 12 and step.hypothesis
        else step
        for step in steps
    ]
    assert [change.sign for change in held_over_time(less)[-1].changes] == ["−", "−"]
    assert tracks(less)[0].confidences == (0.9, 0.8, None)


def test_figures_are_written_for_people() -> None:
    assert [duration(s) for s in (0.04, 59.9, 60, 200, 3600, 7500)] == [
        "0.0 s",
        "59.9 s",
        "1 min",
        "3 min 20 s",
        "1 h",
        "2 h 5 min",
    ]
    assert [dollars(c) for c in (None, 0.0, 0.0012, 0.25, 1234.5)] == [
        "unknown",
        "$0.00",
        "$0.0012",
        "$0.250",
        "$1,234.50",
    ]
    assert (percent(0.667), percent(None), signed(-0.5), signed(None)) == ("67 %", "–", "−0.50", "–")


def test_ticks_are_round() -> None:
    assert ticks(1.0, 5.0, 4) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert ticks(-1.2, 1.2) == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert time_ticks(202) == [0.0, 60.0, 120.0, 180.0]
    assert ticks(3.0, 3.0) == [3.0]


def test_drawn_text_is_escaped() -> None:
    assert (
        element("text", "a<b>\u202e", x=1.25, class_='"s') == '<text x="1.2" class="&#34;s">a&lt;b&gt;⟨U+202E⟩</text>'
    )


def test_a_run_is_reported_without_what_only_benchmarks_need() -> None:
    script = "import sys, finetrace.report; print('finetrace.evals.bench.plan' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
