"""Conduct in a run as it lies in the store: what was done, and what became of the review."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from finetrace.agent.arms import arm_of
from finetrace.agent.blocks import Block, blocks_of
from finetrace.agent.conduct import Conduct, conduct_of
from finetrace.agent.decision import Submit
from finetrace.agent.review import Judgement, objections_of
from finetrace.schema import Claim, Hypothesis, Run, Step, StepKind

OFFERED = "offered"
"""Setting of a run: the instruments that its pair of models could serve."""


def conduct_of_run(run: Run, steps: Sequence[Step]) -> Conduct | None:
    """Count what a language model did in a run; ``None`` where none was asked.

    Args:
        run: Finished or not.
        steps: All of its steps.
    """
    if not any(step.kind is StepKind.TURN for step in steps):
        return None
    offered = tuple(run.settings.get(OFFERED) or arm_of(run.arm, run.settings).instruments)
    blocks = blocks_of(steps, offered)
    unread = frozenset(block.number for block in blocks if len(block.moves) != len(block.entries) or not block.moves)
    review = _review(blocks)
    if review is None:
        return conduct_of(steps, offered, unread=unread)
    against, heeded = len(review.against), _heeded(review, steps)
    return conduct_of(steps, offered, review.reviewed, against, heeded, unread)


class _Review(NamedTuple):
    """What was reviewed, and with what outcome."""

    reviewed: Hypothesis
    against: tuple[Claim, ...]
    """Claims that the second reader objected to."""
    ended: int
    """Number of the last step before the answer to it."""


def _review(blocks: Sequence[Block]) -> _Review | None:
    for block in blocks:
        submitted = _handed_in(block)
        if block.objections is None or submitted is None:
            continue
        claims = submitted.hypothesis.claims
        numbers = {each.claim for each in objections_of(block.objections) if each.judgement is not Judgement.STANDS}
        against = tuple(claims[number - 1] for number in sorted(numbers) if number <= len(claims))
        return _Review(submitted.hypothesis, against, block.steps[-1].number)
    return None


def _handed_in(block: Block) -> Submit | None:
    """The hypothesis of a turn."""
    return next((move for move in block.moves if isinstance(move, Submit)), None)


def _heeded(review: _Review, steps: Sequence[Step]) -> int:
    """How many of the claims objected to were dropped, held with less confidence, or given other evidence."""
    after = next(
        (step.hypothesis for step in steps if step.number > review.ended and step.hypothesis is not None), None
    )
    if after is None:
        return 0
    held = {claim.statement: claim for claim in after.claims}
    return sum(not _stands_as_it_was(claim, held.get(claim.statement)) for claim in review.against)


def _stands_as_it_was(before: Claim, after: Claim | None) -> bool:
    if after is None or after.confidence < before.confidence:
        return False
    return {item.quote for item in after.evidence} <= {item.quote for item in before.evidence}
