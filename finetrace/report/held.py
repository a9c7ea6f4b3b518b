"""The hypothesis over time: what each step changed in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from finetrace.schema import Claim, Hypothesis, Step, Verdict, null_hypothesis


class Change(NamedTuple):
    """One thing that is different now."""

    sign: str
    """``+`` new, ``~`` held otherwise, ``−`` dropped, ``=`` about the whole."""
    what: str
    """Kind of claim, or the part of the hypothesis."""
    statement: str
    remark: str


class Held(NamedTuple):
    """The hypothesis after a step."""

    step: int
    verdict: Verdict
    claims: int
    changes: tuple[Change, ...]
    """Nothing where the step confirmed all of it."""


class Track(NamedTuple):
    """One claim through time."""

    kind: str
    statement: str
    confidences: tuple[float | None, ...]
    """After each step that spoke of the hypothesis; ``None`` where it was not held."""


def held_over_time(steps: Sequence[Step]) -> tuple[Held, ...]:
    """Every hypothesis of a transcript with what is new in it; the start is that nothing differs."""
    found: list[Held] = []
    before = null_hypothesis()
    for step in steps:
        if step.hypothesis is None:
            continue
        now = step.hypothesis
        found.append(Held(step.number, now.verdict, len(now.claims), tuple(_changes(before, now))))
        before = now
    return tuple(found)


def tracks(steps: Sequence[Step]) -> tuple[Track, ...]:
    """The confidence in each claim after each step that spoke of the hypothesis."""
    hypotheses = [step.hypothesis for step in steps if step.hypothesis is not None]
    keys = dict.fromkeys(_key(claim) for each in hypotheses for claim in each.claims)
    held = [{_key(claim): claim.confidence for claim in each.claims} for each in hypotheses]
    return tuple(Track(*key, tuple(each.get(key) for each in held)) for key in keys)


def _key(claim: Claim) -> tuple[str, str]:
    return claim.kind.value, claim.statement


def _changes(before: Hypothesis, after: Hypothesis) -> list[Change]:
    found = []
    if before.verdict is not after.verdict:
        found.append(Change("=", "verdict", f"{before.verdict.value} → {after.verdict.value}", ""))
    if before.summary != after.summary:
        found.append(Change("=", "summary", after.summary, ""))
    if before.guesses != after.guesses:
        found.append(Change("=", "guesses", f"{len(before.guesses)} → {len(after.guesses)}", ""))
    if after.incomplete is not None and before.incomplete != after.incomplete:
        found.append(Change("=", "incomplete", after.incomplete, ""))
    old = {_key(claim): claim for claim in before.claims}
    new = {_key(claim): claim for claim in after.claims}
    for key, claim in new.items():
        if key not in old:
            found.append(Change("+", *key, f"confidence {claim.confidence:.2f}"))
        elif remark := _remark(old[key], claim):
            found.append(Change("~", *key, remark))
    return found + [Change("−", *key, "dropped") for key in old if key not in new]


def _remark(old: Claim, new: Claim) -> str:
    """How a claim that stayed is held now; empty where nothing about it changed."""
    remarks = []
    if old.confidence != new.confidence:
        remarks.append(f"confidence {old.confidence:.2f} → {new.confidence:.2f}")
    if old.check != new.check and new.check is not None:
        remarks.append(f"check {new.check.outcome.value}")
    if len(old.evidence) != len(new.evidence):
        remarks.append(f"quotes {len(old.evidence)} → {len(new.evidence)}")
    elif old.evidence != new.evidence:
        remarks.append("other quotes")
    return ", ".join(remarks)
