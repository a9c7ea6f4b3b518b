"""Conduct: how an investigator used its instruments and what they showed, from the steps of its run alone.

Published agents lose in three places between instrument and hypothesis: they leave instruments unused, they build on
readings that show nothing, and they see a clue without claiming it. Each has counts of its own here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from finetrace.agent.clues import find_clues, unclaimed
from finetrace.agent.decision import REREAD
from finetrace.agent.evidence import reading_of
from finetrace.agent.signals import Strength, signal_of
from finetrace.agent.turns import Purpose, turn_of
from finetrace.schema import Hypothesis, Step, StepKind
from finetrace.tools import INSTRUMENTS

UNKNOWN = "unknown"
"""What calls are counted under that name no instrument."""
_REJECTED = re.compile(r"(?:\A|; )(?:step \d+ does not hold «|there is no step \d+ to quote «)")
_NO_MORE = re.compile(r"no more calls: hand in your hypothesis|\Athis would take \d+ interactions, \d+ are left")


class Conduct(BaseModel):
    """Counts of what an investigator did and what it made of what it saw."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calls: dict[str, int] = Field(default_factory=dict)
    """Calls the investigator made, by instrument, those that failed included."""
    overview: dict[str, int] = Field(default_factory=dict)
    """Calls the loop made before the first turn."""
    never_called: tuple[str, ...] = ()
    """Instruments that were offered and that the investigator did not call itself."""
    refused: int = Field(default=0, ge=0)
    """Calls that the budget did not allow."""
    failed: int = Field(default=0, ge=0)
    """Calls that gave no reading for another reason."""
    turns: int = Field(default=0, ge=0)
    """Requests that a language model answered."""
    faults: int = Field(default=0, ge=0)
    """Times something outside stopped the run."""
    decisions: int = Field(default=0, ge=0)
    """Turns that were asked for a next move, repairs included."""
    valid: int = Field(default=0, ge=0)
    """Decisions of which every call and hypothesis could be read and had the form it must have."""
    repaired: int = Field(default=0, ge=0)
    """Decisions that could not, where the next one could."""
    repairs: int = Field(default=0, ge=0)
    """Decisions asked for because the one before could not be carried out."""
    readings: int = Field(default=0, ge=0)
    """Readings with a signal to judge."""
    noisy: tuple[int, ...] = ()
    """Steps whose reading shows nothing above its noise."""
    quotes: int = Field(default=0, ge=0)
    """Quotes in the answer."""
    noisy_quotes: int = Field(default=0, ge=0)
    """Those of them that are from noisy readings."""
    handed_in: int = Field(default=0, ge=0)
    """Hypotheses whose evidence was looked up."""
    sent_back: int = Field(default=0, ge=0)
    """Those of them with a quote that no reading holds, or a claim without one."""
    quotes_rejected: int = Field(default=0, ge=0)
    """Quotes taken out because no reading held them."""
    clues: int = Field(default=0, ge=0)
    """Clues shown by the end."""
    claimed: int = Field(default=0, ge=0)
    """Those of them that the answer speaks of."""
    clues_at_review: int | None = None
    """Clues shown when the review began; ``None`` where there was none."""
    claimed_before: int | None = None
    """Those of them that the hypothesis spoke of which was reviewed; ``None`` where it is not known."""
    objections: int = Field(default=0, ge=0)
    """Claims that the review objected to."""
    heeded: int = Field(default=0, ge=0)
    """Objections after which the claim was changed or given up."""

    @property
    def valid_at_once(self) -> float | None:
        """Share of the decisions that were valid as they stood; ``None`` without any."""
        return self.valid / self.decisions if self.decisions else None

    @property
    def valid_after_one_repair(self) -> float | None:
        """Share of the decisions that were valid, or whose repair was."""
        return (self.valid + self.repaired) / self.decisions if self.decisions else None

    def lines(self) -> list[str]:
        """The three gaps and the decisions, one line each; nothing of what a model wrote is in them."""
        return list(_lines(self))


class _Decision(NamedTuple):
    """One request for a next move."""

    turn: Step
    after: tuple[Step, ...]
    """What followed before the next one."""


def conduct_of(
    steps: Sequence[Step],
    offered: Sequence[str] = (),
    before_review: Hypothesis | None = None,
    objections: int = 0,
    heeded: int = 0,
    unread: frozenset[int] = frozenset(),
) -> Conduct:
    """Count what was done in a run, finished or not.

    Args:
        steps: All of its steps.
        offered: Names of the instruments at hand.
        before_review: The hypothesis that was reviewed.
        objections: How many claims the review objected to.
        heeded: How many of these were changed or given up.
        unread: Turns without a call that could be read, or with one that could not or did not fit.
    """
    turns = [step.number for step in steps if step.kind is StepKind.TURN]
    calls = [step for step in steps if step.kind is StepKind.CALL]
    begun = turns[0] if turns else 0
    own = Counter(_name(step) for step in calls if step.number > begun)
    refused = sum(bool(step.error and _NO_MORE.search(step.error)) for step in calls)
    verdicts = _verdicts(steps, unread)
    return Conduct(
        calls=dict(sorted(own.items())),
        overview=dict(sorted(Counter(_name(step) for step in calls if step.number < begun).items())),
        never_called=tuple(name for name in offered if name not in own),
        refused=refused,
        failed=sum(step.error is not None for step in calls) - refused,
        turns=sum(turn.model != "" for step in steps if (turn := turn_of(step)) is not None),
        faults=sum(step.kind is StepKind.FAULT for step in steps),
        decisions=len(verdicts),
        valid=sum(verdicts),
        repaired=sum(later and not valid for valid, later in pairwise(verdicts)),
        repairs=sum(not valid for valid in verdicts[:-1]),
        handed_in=sum(step.kind is StepKind.PROPOSAL for step in steps),
        sent_back=sum(step.kind is StepKind.PROPOSAL and step.error is not None for step in steps),
        objections=objections,
        heeded=heeded,
        **_evidence(steps),
        **_clues(steps, before_review),
    )


def _name(step: Step) -> str:
    """The call by the name it is offered under; names that a model made up are all ``UNKNOWN``."""
    name = (step.instrument or "").replace("-", "_")
    return name if name in INSTRUMENTS or name == REREAD else UNKNOWN


def _answer(steps: Sequence[Step]) -> Hypothesis | None:
    """The answer; before there is one, what was handed in last."""
    return next((step.hypothesis for step in reversed(steps) if step.hypothesis is not None), None)


def _evidence(steps: Sequence[Step]) -> dict[str, int | tuple[int, ...]]:
    """Which readings are noise, and what was quoted from them."""
    signals = {s.number: signal for s in steps if (r := reading_of(s)) is not None and (signal := signal_of(r))}
    noisy = tuple(number for number, signal in signals.items() if signal.strength is Strength.NONE)
    answer = _answer(steps)
    quoted = [evidence.step for claim in answer.claims for evidence in claim.evidence] if answer else []
    proposals = [step.error or "" for step in steps if step.kind is StepKind.PROPOSAL]
    return {
        "readings": len(signals),
        "noisy": noisy,
        "quotes": len(quoted),
        "noisy_quotes": sum(step in noisy for step in quoted),
        "quotes_rejected": sum(len(_REJECTED.findall(error)) for error in proposals),
    }


def _clues(steps: Sequence[Step], before_review: Hypothesis | None) -> dict[str, int | None]:
    """What was shown, and what was said of it, by the review and by the end."""
    shown = find_clues(steps)
    answer = _answer(steps)
    counts: dict[str, int | None] = {
        "clues": len(shown),
        "claimed": len(shown) - len(unclaimed(shown, answer)) if answer else 0,
    }
    review = next((step.number for step in steps if _asked_for(step) is Purpose.REFUTE), None)
    if review is not None:
        then = find_clues([step for step in steps if step.number < review])
        counts["clues_at_review"] = len(then)
        if before_review is not None:
            counts["claimed_before"] = len(then) - len(unclaimed(then, before_review))
    return counts


def _asked_for(step: Step) -> Purpose | None:
    turn = turn_of(step)
    return turn.purpose if turn is not None else None


def _verdicts(steps: Sequence[Step], unread: frozenset[int]) -> list[bool]:
    """For each decision whether it could be carried out; the last is left out while nothing has followed it."""
    decisions: list[_Decision] = []
    for step in steps:
        if _asked_for(step) is Purpose.DECIDE:
            decisions.append(_Decision(step, ()))
        elif decisions and step.kind is not StepKind.FAULT:
            decisions[-1] = _Decision(decisions[-1].turn, (*decisions[-1].after, step))
    pending = bool(decisions) and not decisions[-1].after
    ended = decisions[:-1] if pending else decisions
    return [each.turn.number not in unread and _is_valid(each.after) for each in ended]


def _is_valid(after: Sequence[Step]) -> bool:
    """Whether what followed a decision shows that it could be carried out.

    It led to a review, to a call that was well formed, whatever came of it, or to a whole hypothesis. Whether quotes
    hold is counted by itself.
    """
    if any(_asked_for(step) is Purpose.REFUTE for step in after):
        return True
    handed_in = any(step.kind is StepKind.PROPOSAL for step in after)
    calls = [step for step in after if step.kind is StepKind.CALL]
    return handed_in or any(not _is_malformed(step) for step in calls)


def _is_malformed(step: Step) -> bool:
    """Whether a call named no instrument, or its arguments did not fit."""
    error = step.error or ""
    return step.reading is None and (error.startswith("no instrument") or error.startswith(f"{_name(step)}: "))


def _lines(conduct: Conduct) -> Iterator[str]:
    listed = ", ".join(f"{name} {n}" for name, n in conduct.calls.items()) or "none"
    unused = f"; never called: {', '.join(conduct.never_called)}" if conduct.never_called else ""
    yield f"calls: {listed}{unused}; {conduct.failed} failed, {conduct.refused} refused"
    if conduct.decisions:
        yield (
            f"decisions: {conduct.valid} of {conduct.decisions} valid at once, "
            f"{conduct.valid + conduct.repaired} after at most one repair; "
            f"{conduct.sent_back} of {conduct.handed_in} hypotheses sent back for their quotes"
        )
    yield (
        f"noise: {len(conduct.noisy)} of {conduct.readings} readings show nothing above it, "
        f"{conduct.noisy_quotes} of {conduct.quotes} quotes rest on these; {conduct.quotes_rejected} quotes rejected"
    )
    before = ""
    if conduct.claimed_before is not None:
        before = f" (before the review {conduct.claimed_before} of {conduct.clues_at_review})"
    yield f"clues: {conduct.claimed} of {conduct.clues} shown are claimed{before}"
    if conduct.objections:
        yield f"objections: {conduct.heeded} of {conduct.objections} heeded"
