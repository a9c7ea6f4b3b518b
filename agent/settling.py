"""What a language model's hypothesis comes to: quotes as the readings have them, and the end where it is not whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from finetrace.agent.blocks import Block
from finetrace.agent.call_text import json_values
from finetrace.agent.calling import SUBMIT
from finetrace.agent.decision import Submit
from finetrace.agent.evidence import check_evidence, is_telling, reading_of
from finetrace.agent.inert import verbatim
from finetrace.agent.investigator import Case
from finetrace.agent.submission import salvage, to_submit
from finetrace.agent.workbench import only_answer
from finetrace.schema import Evidence, Hypothesis, Step, StepKind, Verdict

MAX_SENT_BACK = 3
"""Answers without a call that can be carried out that are sent back in a row, and malformed hypotheses in all."""
_NOTHING = "No hypothesis was handed in that could be read."


def given_up(case: Case, blocks: Sequence[Block]) -> str | None:
    """Why no further turn is asked for; ``None`` where one is."""
    idle = sum(1 for _ in takewhile(_led_nowhere, reversed(blocks)))
    if idle > MAX_SENT_BACK:
        return f"{idle} answers in a row held no hypothesis or call that could be read"
    malformed = sum(any(isinstance(e, str) and e.startswith(SUBMIT) for e in block.entries) for block in blocks)
    if malformed > MAX_SENT_BACK:
        return f"{malformed} hypotheses were malformed"
    spent = case.budget.exhausted(case.usage)
    last = blocks[-1]
    asked = idle and only_answer(case.budget, last.before, asks=True) is not None
    return f"{spent} before a hypothesis was whole" if spent is not None and (asked or _sent_back(last)) else None


def _led_nowhere(block: Block) -> bool:
    """Whether nothing came of a turn."""
    return not block.results and block.objections is None


def _sent_back(block: Block) -> bool:
    """Whether the turn handed in a hypothesis whose evidence failed."""
    return any(step.kind is StepKind.PROPOSAL and step.error for step in block.results)


def what_there_is(case: Case, blocks: Sequence[Block], why: str) -> Submit:
    """The last hypothesis that can be read, with the quotes that hold; marked as incomplete.

    Args:
        case: The run as it stands.
        blocks: Its turns.
        why: What keeps the investigator from handing in a whole one.
    """
    found = next(_handed_in(blocks), None)
    if found is None:
        nothing = Hypothesis(verdict=Verdict.INCONCLUSIVE, summary=_NOTHING, incomplete=why)
        return Submit(thought=why, hypothesis=nothing)
    settled = with_original_quotes(found, case.steps)
    held = check_evidence(settled.hypothesis, case.steps).hypothesis
    tests = settled.tests or ()
    kept = [i for i, claim in enumerate(held.claims) if claim.evidence]
    return Submit(
        thought=why,
        hypothesis=held.model_copy(
            update={
                "claims": tuple(held.claims[i] for i in kept),
                "incomplete": why,
                "summary": held.summary or _NOTHING,
            }
        ),
        tests=tuple(tests[i] for i in kept if i < len(tests)),
    )


def _handed_in(blocks: Sequence[Block]) -> Iterator[Submit]:
    """Hypotheses, the newest first; what can be read of malformed ones after all that are whole."""
    for block in reversed(blocks):
        yield from (move for move in reversed(block.moves) if isinstance(move, Submit))
    for block in reversed(blocks):
        for text in (*(use.arguments for use in block.turn.uses), block.turn.text):
            for value in json_values(text, block.shown):
                saved = salvage(value)
                if saved is not None:
                    yield to_submit(saved, "")


def with_original_quotes(submitted: Submit, steps: Sequence[Step]) -> Submit:
    """The same with each quote as its reading has it; one that stands in another step is credited to that step.

    A language model reads texts in their inert form, and miscounts steps more often than it misquotes. A quote that
    stands nowhere stays as it is, for the evidence check to reject.
    """
    texts = {step.number: list(reading.quotable()) for step in steps if (reading := reading_of(step)) is not None}
    claims = tuple(
        claim.model_copy(update={"evidence": tuple(_original(evidence, texts) for evidence in claim.evidence)})
        for claim in submitted.hypothesis.claims
    )
    return submitted.model_copy(update={"hypothesis": submitted.hypothesis.model_copy(update={"claims": claims})})


def _original(evidence: Evidence, texts: dict[int, list[str]]) -> Evidence:
    order = [evidence.step, *(number for number in texts if number != evidence.step)]
    if not is_telling(evidence.quote):
        return evidence
    # A completion is shown behind its prefill in «», which are no part of the text.
    for quote in (evidence.quote, evidence.quote.replace("«", "").replace("»", "")):
        for number in order:
            found = verbatim(quote, texts.get(number, ()))
            if found:
                return Evidence(step=number, quote=found)
    return evidence
