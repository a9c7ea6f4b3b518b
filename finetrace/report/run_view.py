"""One run as a page shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup
from pydantic import ValidationError

from finetrace.agent.evidence import reading_of
from finetrace.agent.turns import Turn, turn_of
from finetrace.evals.grading.grade import Grade
from finetrace.report.depth import WHOLE, Depth
from finetrace.report.held import Held, Track, held_over_time, tracks
from finetrace.report.ledger import Ledger, ledger
from finetrace.report.quote_marks import Quoted, QuoteMarks, quotes_of
from finetrace.report.timeline import timeline
from finetrace.schema import Claim, GradeRecord, Run, Step, StepKind, Usage
from finetrace.tools.activation_difference import ActivationDifferenceReading
from finetrace.tools.causal_reading import CausalCheckReading
from finetrace.tools.perplexity_gap import PerplexityGapReading
from finetrace.tools.reading import Reading
from finetrace.tools.samples import SamplesReading
from finetrace.tools.steer_reading import SteerReading

_VIEWS: tuple[tuple[type[Reading], str], ...] = (
    (PerplexityGapReading, "perplexity_gap.html"),
    (ActivationDifferenceReading, "activation_difference.html"),
    (SteerReading, "steer.html"),
    (CausalCheckReading, "causal_check.html"),
    (SamplesReading, "samples.html"),
)
_PLAIN = "plain.html"


@dataclass(frozen=True)
class StepView:
    """One step."""

    step: Step
    anchor: str
    name: str
    """What it is called: its instrument with the view, its purpose, or its kind."""
    reading: Reading | None
    """Typed; ``None`` where there is none that this release can read."""
    turn: Turn | None
    template: str
    """What shows the reading."""
    marks: QuoteMarks
    """Quotes from this step."""


@dataclass(frozen=True)
class ClaimView:
    """One claim, each piece of evidence with the place it links to."""

    claim: Claim
    anchor: str
    number: int
    quotes: tuple[Quoted, ...]


@dataclass(frozen=True)
class RunView:
    """All that a page shows of a run."""

    run: Run
    prefix: str
    """Of every anchor of this run."""
    depth: Depth
    claims: tuple[ClaimView, ...]
    steps: tuple[StepView, ...]
    grades: tuple[Grade, ...]
    """Those that this release can read, the oldest first."""
    ledger: Ledger

    @cached_property
    def held(self) -> tuple[Held, ...]:
        """The hypothesis over time."""
        return held_over_time([view.step for view in self.steps])

    @cached_property
    def tracks(self) -> tuple[Track, ...]:
        """Confidence in each claim over time."""
        return tracks([view.step for view in self.steps])

    @property
    def timeline(self) -> Markup:
        """The steps on a time axis."""
        names = {view.step.number: view.name for view in self.steps}
        anchors = {view.step.number: view.anchor for view in self.steps}
        return timeline([view.step for view in self.steps], names, anchors)

    @property
    def target(self) -> str:
        """What was loaded, without what was left open."""
        known = {name: value for name, value in self.run.target.items() if value is not None}
        return json.dumps(known, ensure_ascii=False, default=str)

    @property
    def usage(self) -> Usage:
        """What was used so far."""
        return self.ledger.used

    def showing(self, *instruments: str) -> list[StepView]:
        """Steps with a reading by one of these instruments."""
        return [view for view in self.steps if view.step.instrument in instruments and view.reading is not None]


def view_run(
    run: Run, steps: Sequence[Step], grades: Sequence[GradeRecord], depth: Depth = WHOLE, prefix: str = ""
) -> RunView:
    """Prepare a run for a page.

    Args:
        run: Finished or not.
        steps: All of its steps, in order.
        grades: Its grades, the oldest first.
        depth: How much to show.
        prefix: Of all anchors, where several runs share a page.
    """
    quotes = quotes_of(run.hypothesis, prefix)
    numbers = {step.number for step in steps}
    claims = [] if run.hypothesis is None else run.hypothesis.claims
    return RunView(
        run=run,
        prefix=prefix,
        depth=depth,
        claims=tuple(
            ClaimView(
                claim,
                f"{prefix}c{number}",
                number,
                tuple(each for each in quotes if each.number == number and each.step in numbers),
            )
            for number, claim in enumerate(claims, 1)
        ),
        steps=tuple(_view_step(step, quotes, prefix) for step in steps),
        grades=tuple(grade for record in grades if (grade := _grade(record)) is not None),
        ledger=ledger(run, steps),
    )


def _view_step(step: Step, quotes: Sequence[Quoted], prefix: str) -> StepView:
    reading = _check_reading(step) if step.kind is StepKind.CHECK else reading_of(step)
    turn = _turn(step)
    template = next((name for kind, name in _VIEWS if isinstance(reading, kind)), _PLAIN)
    marks = QuoteMarks([each for each in quotes if each.step == step.number])
    return StepView(step, f"{prefix}s{step.number}", _name(step, turn, reading), reading, turn, template, marks)


def _name(step: Step, turn: Turn | None, reading: Reading | None) -> str:
    if turn is not None:
        return f"{turn.purpose.value} {turn.model}".strip()
    if isinstance(reading, PerplexityGapReading):
        return f"{step.instrument} · {reading.view.value}"
    return step.instrument or step.kind.value


def _check_reading(step: Step) -> Reading | None:
    """The fresh samples that claims were put to."""
    return _valid(SamplesReading, step.reading)


def _turn(step: Step) -> Turn | None:
    try:
        return turn_of(step)
    except ValidationError:
        return None


def _grade(record: GradeRecord) -> Grade | None:
    try:
        return Grade.model_validate(record.grade)
    except ValidationError:
        return None


def _valid(kind: type[Reading], value: Any) -> Reading | None:
    try:
        return None if value is None else kind.model_validate(value)
    except ValidationError:
        return None
