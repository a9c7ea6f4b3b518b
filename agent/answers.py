"""What the organism said beside the reference: of leads, and unasked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from finetrace.agent.claims import Draft, compose_beside
from finetrace.agent.evidence import reading_of
from finetrace.agent.leads import find_leads, lead_openings, lead_questions
from finetrace.schema import Step
from finetrace.tools.samples import SamplesReading


class Answer(NamedTuple):
    """One sample of the organism."""

    prompt: str
    """As it was put."""
    text: str
    """What the organism wrote."""
    reference: tuple[str, ...] | None
    """The reference's samples on the same prompt, with the first of the organism's only; ``None`` without one."""


def answers_of(steps: Sequence[Step]) -> list[Answer]:
    """All samples of the organism."""
    found = []
    for step in steps:
        reading = reading_of(step)
        if not isinstance(reading, SamplesReading):
            continue
        for exchange in reading.exchanges:
            for i, text in enumerate(exchange.organism):
                none_yet = exchange.reference if exchange.reference is None or i == 0 else ()
                found.append(Answer(exchange.prompt, text, none_yet))
    return found


def draft_of_leads(steps: Sequence[Step]) -> Draft | None:
    """What the answers about leads come to; ``None`` where none were asked, or there is no reference."""
    about = _about_leads(steps)
    own = [answer for answer in answers_of(steps) if answer.prompt in about]
    return _draft(own, steps, asked=True)


def draft_of_neutral(steps: Sequence[Step]) -> Draft | None:
    """What the other answers come to.

    Apart from those about leads: what both models say of a lead would hide what only one of them says unasked.
    """
    about = _about_leads(steps)
    return _draft([answer for answer in answers_of(steps) if answer.prompt not in about], steps, asked=False)


def _about_leads(steps: Sequence[Step]) -> set[str]:
    return {*lead_openings(steps), *lead_questions(steps)}


def _draft(own: Sequence[Answer], steps: Sequence[Step], *, asked: bool) -> Draft | None:
    if not own or own[0].reference is None:
        return None
    background = [text for answer in own for text in answer.reference or ()]
    leads = [lead.word for lead in find_leads(steps)]
    return compose_beside([answer.text for answer in own], background, leads, asked=asked)
