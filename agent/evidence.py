"""Evidence: a quote counts if it stands, word for word, in the reading of the step it names.

A quote may be cut from the text or from its inert form, which is what a language model reads; what is kept is the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError

from finetrace.agent.decision import REREAD
from finetrace.agent.inert import verbatim
from finetrace.errors import ToolError
from finetrace.schema import Claim, Evidence, Hypothesis, Step
from finetrace.tools import Reading, find_instrument
from finetrace.tools.english import is_function_word
from finetrace.tools.words import fold_space, words

_FEW_WORDS = 3
_FEW_CHARACTERS = 12
_LONG_WORD = 4
"""What a quote has to hold one of: so many words, so many characters in all, a word of content with so many letters."""


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

    White space is folded before comparing, and characters that `inert` replaces count as what stands for them; nothing
    else is. Quotes that are kept are as the reading has them.
    """
    texts: dict[int, list[str]] = {}
    complaints: list[str] = []
    claims: list[Claim] = []
    for claim in hypothesis.claims:
        if not claim.evidence:
            complaints.append(f"no evidence is quoted for «{_short(claim.statement)}»")
        held = []
        for evidence in claim.evidence:
            found = _in_the_text(evidence, steps, texts)
            if isinstance(found, str):
                complaints.append(found)
            else:
                held.append(found)
        claims.append(claim.model_copy(update={"evidence": tuple(held)}))
    return EvidenceCheck(hypothesis.model_copy(update={"claims": tuple(claims)}), tuple(complaints))


def _in_the_text(evidence: Evidence, steps: Sequence[Step], texts: dict[int, list[str]]) -> Evidence | str:
    """The evidence with its quote as the text has it, or what is wrong with it."""
    step = _source(evidence.step, steps)
    shown = _short(evidence.quote)
    if step is None:
        return f"there is no step {evidence.step} to quote «{shown}» from"
    if not is_telling(evidence.quote):
        return f"«{shown}» is too short to be evidence"
    if step.number not in texts:
        reading = reading_of(step)
        texts[step.number] = [fold_space(text) for text in reading.quotable()] if reading else []
    quote = fold_space(evidence.quote)
    if quote and any(quote in text for text in texts[step.number]):
        return evidence.model_copy(update={"step": step.number})
    found = verbatim(quote, texts[step.number])
    return f"step {evidence.step} does not hold «{shown}»" if found is None else Evidence(step=step.number, quote=found)


def _source(number: int, steps: Sequence[Step]) -> Step | None:
    """The step of that number; where it reread another, that one."""
    step = next((step for step in steps if step.number == number), None)
    if step is None or step.instrument != REREAD:
        return step
    return next((other for other in steps if other.number == step.arguments.get("step")), step)


def is_telling(quote: str) -> bool:
    """Whether a quote is more than stands in any text: a few words, or one that carries meaning."""
    held = words(quote)
    if len(held) >= _FEW_WORDS or len(fold_space(quote)) >= _FEW_CHARACTERS:
        return True
    return any(len(word) >= _LONG_WORD and not is_function_word(word) for word in held)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"
