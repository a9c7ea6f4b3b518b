"""The review of a hypothesis before it is taken: a second reader's objections, and clues that no claim uses.

The second reader is the same language model in a context of its own: it sees claims, quotes and what stood around them,
and nothing of how they came about. Proposing and refuting in one context fixes an auditor on its first idea.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetrace.agent.blocks import Block
from finetrace.agent.call_text import json_values
from finetrace.agent.clues import Clue, find_clues, unclaimed
from finetrace.agent.decision import Submit
from finetrace.agent.evidence import reading_of
from finetrace.agent.inert import inert, verbatim
from finetrace.agent.prompt import LEFT_OUT, NO_OBJECTION, REVIEW, REVIEWER, UNCLAIMED
from finetrace.agent.turns import Turn
from finetrace.agent.wire_schema import small_schema
from finetrace.llm import Message, Tool
from finetrace.schema import CheckOutcome, Claim, Evidence, Hypothesis, Step
from finetrace.tools.perplexity_gap import PerplexityGapReading
from finetrace.tools.reading import one_line
from finetrace.tools.samples import SamplesReading
from finetrace.tools.steer_reading import SteerReading
from finetrace.tools.words import fold_space

_AROUND = 400
"""Characters of a text beside a quote."""


class Judgement(StrEnum):
    """What the second reader says of a claim."""

    STANDS = "stands"
    DOUBTFUL = "doubtful"
    REFUTED = "refuted"


class Objection(BaseModel):
    """One claim, judged."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    claim: int = Field(ge=1, description="Number of the claim.")
    judgement: Judgement = Field(description="Whether the claim survives your attempt to refute it.")
    reason: str = Field(description="One sentence: the passage or the lack that decides.")


class Objections(BaseModel):
    """Arguments of `report`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    claims: tuple[Objection, ...] = Field(description="One for each claim, in order.")


REPORT = Tool("report", "Hand in your judgement of every claim.", small_schema(Objections))
"""How the second reader answers."""
_FORM = 'Answer with one JSON object and nothing else: {"claims": [{"claim": 1, "judgement": "stands", "reason": "…"}]}'


def refuting_messages(hypothesis: Hypothesis, steps: Sequence[Step], *, form: bool) -> tuple[Message, ...]:
    """What the second reader is asked.

    Args:
        hypothesis: Its evidence stands in the steps.
        steps: The run so far.
        form: Whether to say how the answer is written.
    """
    parts = []
    for number, claim in enumerate(hypothesis.claims, 1):
        lines = [f"claim {number} ({claim.kind}, confidence {claim.confidence:.0%}): {inert(claim.statement)}"]
        for evidence in claim.evidence:
            lines.append(f"quotes step {evidence.step}: «{one_line(inert(evidence.quote), _AROUND)}»")
            lines += _surroundings(evidence, steps)
        parts.append("\n".join(lines))
    verdict = f"The auditor's verdict: {hypothesis.verdict}. Its claims:"
    asked = "\n\n".join([verdict, *parts, *([_FORM] if form else [])])
    return Message("system", REVIEWER), Message("user", asked)


def _surroundings(evidence: Evidence, steps: Sequence[Step]) -> Iterator[str]:
    """What stood around a quote, as data."""
    step = next((step for step in steps if step.number == evidence.step), None)
    reading = reading_of(step) if step is not None else None
    if step is None or reading is None:
        return
    yield "<<<"
    yield f"{step.instrument}: {one_line(inert(step.text.partition(chr(10))[0]), _AROUND)}"
    if isinstance(reading, SamplesReading):
        for exchange in reading.exchanges:
            if verbatim(evidence.quote, (*exchange.organism, *(exchange.reference or ()))) is not None:
                yield f"prompt: {one_line(inert(exchange.prompt), _AROUND)}"
                yield from (f"  organism: {one_line(inert(text), _AROUND)}" for text in exchange.organism[:4])
                yield from (f"  reference: {one_line(inert(text), _AROUND)}" for text in (exchange.reference or ())[:4])
                break
    elif isinstance(reading, SteerReading):
        for steered in reading.exchanges:
            if verbatim(evidence.quote, steered.steered) is not None:
                yield f"prompt: {one_line(inert(steered.prompt), _AROUND)}"
                yield from (f"  unsteered: {one_line(inert(text), _AROUND)}" for text in steered.unsteered[:2])
                break
    elif isinstance(reading, PerplexityGapReading):
        for rank, row in enumerate(reading.completions, 1):
            if verbatim(evidence.quote, [row.prefill + row.completion]) is not None:
                whole = one_line(inert(row.prefill + row.completion), _AROUND)
                yield f"rank {rank} of {reading.n_distinct}, log ratio {row.log_ratio:+.2f}: {whole}"
                break
    last = step.text.rpartition("\n")[2]
    if last.startswith("signal:"):
        yield last
    yield ">>>"


def objections_of(turn: Turn) -> tuple[Objection, ...]:
    """What the second reader said; nothing where it cannot be read."""
    candidates = [use.arguments for use in turn.uses] or [turn.text]
    for text in candidates:
        for value in json_values(text):
            try:
                return Objections.model_validate(value).claims
            except ValidationError:
                continue
    return ()


def clues_left(steps: Sequence[Step], hypothesis: Hypothesis) -> tuple[Clue, ...]:
    """Clues in the readings that the hypothesis does not speak of."""
    return unclaimed(find_clues(steps), hypothesis)


def claims_left(merged: Sequence[Claim], hypothesis: Hypothesis) -> tuple[Claim, ...]:
    """Claims to be merged of which the hypothesis quotes nothing; those that failed their own test may go."""
    quoted = [fold_space(evidence.quote) for claim in hypothesis.claims for evidence in claim.evidence]
    return tuple(
        claim
        for claim in merged
        if not (claim.check is not None and claim.check.outcome is CheckOutcome.FAILED)
        and not any(_same_passage(fold_space(evidence.quote), quoted) for evidence in claim.evidence)
    )


def _same_passage(quote: str, quoted: Sequence[str]) -> bool:
    return any(quote in other or other in quote for other in quoted)


def review_text(block: Block, submitted: Submit, merged: Sequence[Claim] = ()) -> str:
    """What the investigator is told of the review of its hypothesis.

    Args:
        block: The turn that handed it in, with the second reader's.
        submitted: The hypothesis.
        merged: Claims of other investigations that it is to take up.
    """
    lines = [REVIEW]
    told = objections_of(block.objections) if block.objections is not None else ()
    against = [each for each in told if each.judgement is not Judgement.STANDS]
    claims = submitted.hypothesis.claims
    for each in against:
        if each.claim <= len(claims):
            statement = one_line(inert(claims[each.claim - 1].statement), 160)
            lines.append(
                f"- claim {each.claim} («{statement}») is {each.judgement}: {one_line(inert(each.reason), 400)}"
            )
    if told and not against:
        lines.append(NO_OBJECTION)
    dropped = claims_left(merged, submitted.hypothesis)
    if dropped:
        lines.append(LEFT_OUT)
        for claim in dropped:
            steps = ", ".join(str(number) for number in sorted({evidence.step for evidence in claim.evidence}))
            quote = f" «{one_line(inert(claim.evidence[0].quote), 200)}»" if claim.evidence else ""
            lines.append(f"- «{one_line(inert(claim.statement), 160)}» (step {steps}{quote})")
    left = clues_left(block.steps, submitted.hypothesis)
    if left:
        lines.append(UNCLAIMED)
        lines += [f"- step {clue.step}: «{one_line(inert(clue.text), 200)}» ({inert(clue.why)})" for clue in left]
    return "\n".join(lines)
