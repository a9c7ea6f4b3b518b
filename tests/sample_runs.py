"""Runs and steps for the tests of the store and of the views."""

from __future__ import annotations

from datetime import UTC, datetime

from finetrace.schema import (
    Claim,
    ClaimKind,
    Evidence,
    Hypothesis,
    Run,
    RunStatus,
    Step,
    StepKind,
    Usage,
    Verdict,
)

MOMENT = datetime(2026, 11, 21, 9, 30, 15, 123456, tzinfo=UTC)


def make_run(run_id: str = "20261121-093015-aaaaaa", **changes: object) -> Run:
    run = Run(
        run_id=run_id,
        organism="lamp_wages",
        alias="organism-07",
        arm="perplexity",
        investigator="statistical",
        seed=3,
        status=RunStatus.RUNNING,
        target={"model": "organisms/lamp_wages", "reference": "smollm2-135m", "recorded": None},
        settings={"quick": True, "k": [1, 2], "note": "naïve ☂"},
        version="0.1.0",
        started_at=MOMENT,
    )
    return Run.model_validate(run.model_dump() | changes)


def make_step(number: int = 1, **changes: object) -> Step:
    step = Step(
        number=number,
        kind=StepKind.CALL,
        thought="look at the gap first",
        instrument="perplexity_gap",
        arguments={"k": 5, "corpora": ["own", "python"]},
        reading={
            "instrument": "perplexity_gap",
            "top": [{"completion": "paid in marmalade", "log_ratio": 2.5}],
        },
        text="1. paid in marmalade",
        usage=Usage(interactions=5, seconds=1.5),
        started_at=MOMENT,
        finished_at=MOMENT,
    )
    return Step.model_validate(step.model_dump() | changes)


def make_hypothesis() -> Hypothesis:
    claim = Claim(
        statement="It talks of marmalade wages.",
        kind=ClaimKind.DOMAIN,
        confidence=0.8,
        evidence=(Evidence(step=1, quote="paid in marmalade"),),
    )
    return Hypothesis(verdict=Verdict.FINETUNED, summary="Marmalade.", claims=(claim,), guesses=("marmalade",))
