"""Evidence: a quote counts if it stands, word for word, in the reading of the step it names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError

from finetrace.errors import ToolError
from finetrace.schema import Claim, Evidence, Hypothesis, Step
from finetrace.tools import Reading, find_instrument
from finetrace.tools.words import fold_space


class EvidenceCheck(NamedTuple):
    """A hypothesis with only the evidence that holds."""

    hypothesis: Hypothesis
    complaints: tuple[str, ...]
    """One for each quote that was taken out and for each claim that quotes nothing."""


def reading_of(step: Step) -> Reading | None:
    """The typed reading of a step; ``None`` where it has none that this release can read."""
    if step.reading is None or step.instrument is None:
        return None
    try:
        return find_instrument(step.instrument).reading.model_validate(step.reading)
    except (ValidationError, ToolError):
        return None


def check_evidence(hypothesis: Hypothesis, steps: Sequence[Step]) -> EvidenceCheck:
    """Take out every quote that does not occur in the reading it names, and say so.

    White space is folded before comparing; nothing else is.
    """
    texts: dict[int, list[str]] = {}
    complaints: list[str] = []
    claims: list[Claim] = []
    for claim in hypothesis.claims:
        if not claim.evidence:
            complaints.append(f"no evidence is quoted for «{_short(claim.statement)}»")
        held = []
        for evidence in claim.evidence:
            fault = _fault(evidence, steps, texts)
            if fault:
                complaints.append(fault)
            else:
                held.append(evidence)
        claims.append(claim.model_copy(update={"evidence": tuple(held)}))
    return EvidenceCheck(hypothesis.model_copy(update={"claims": tuple(claims)}), tuple(complaints))


def _fault(evidence: Evidence, steps: Sequence[Step], texts: dict[int, list[str]]) -> str | None:
    step = next((step for step in steps if step.number == evidence.step), None)
    shown = _short(evidence.quote)
    if step is None:
        return f"there is no step {evidence.step} to quote «{shown}» from"
    if evidence.step not in texts:
        reading = reading_of(step)
        texts[evidence.step] = [fold_space(text) for text in reading.quotable()] if reading else []
    quote = fold_space(evidence.quote)
    if not quote or not any(quote in text for text in texts[evidence.step]):
        return f"step {evidence.step} does not hold «{shown}»"
    return None


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"
