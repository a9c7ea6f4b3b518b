"""What a merging run begins with: copies of the readings that answers quote, and the answers put into words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from finetrace.agent.inert import inert
from finetrace.agent.prompt import MERGE
from finetrace.schema import CheckOutcome, Claim, ClaimCheck, Evidence, Hypothesis, Run, Step, Usage, Verdict
from finetrace.tools.reading import one_line

MOST_COPIES = 60
"""Readings that are copied: a run has to have room for steps of its own."""
_QUOTES = (600, 200, 80)
"""Characters of a quote that are shown, by how little room there is."""
_STATEMENT = 400
_MOST_GUESSES = 10


class Member(NamedTuple):
    """An investigation whose answer is merged."""

    run: Run
    steps: tuple[Step, ...]


class Material(NamedTuple):
    """What a merging run begins with."""

    steps: tuple[Step, ...]
    """Copies of the readings that the answers quote."""
    answers: tuple[Hypothesis, ...]
    """The members' answers, their evidence under the numbers of the copies."""
    briefing: str
    """What the language model is told first."""


def gather(members: Sequence[Member], room: int | None = None) -> Material:
    """What a run that merges these begins with; a pure function of them.

    Args:
        members: Runs that have ended.
        room: Characters that the briefing may have; where it is short, quotes are cut and then the weakest claims
            are left out of it. ``None`` for no bound.
    """
    copies: list[Step] = []
    places: dict[str, int] = {}
    answers: list[Hypothesis] = []
    wanted = _worth_copying(members)
    for member in members:
        answer = member.run.hypothesis
        if answer is None:
            continue
        numbers = {}
        for step in _quoted(answer, member.steps):
            if (same := _same(step)) not in wanted:
                continue
            origin = f"from run {member.run.run_id}, step {step.number}"
            numbers[step.number] = place = places.setdefault(same, len(copies) + 1)
            if place > len(copies):
                changes = {"number": place, "thought": origin, "usage": Usage(), "hypothesis": None}
                copies.append(step.model_copy(update=changes))
            else:
                known = copies[place - 1]
                copies[place - 1] = known.model_copy(update={"thought": f"{known.thought}; {origin}"})
        answers.append(_renumbered(answer, numbers))
    return Material(tuple(copies), tuple(answers), _briefing(answers, room))


def side_by_side(answers: Sequence[Hypothesis], why: str) -> Hypothesis:
    """All claims of the answers that quote evidence, as they were made; equal ones once.

    Args:
        answers: With evidence under the numbers of one run.
        why: Why nothing better was made of them.
    """
    claims: dict[str, Claim] = {}
    for claim in sorted((c for answer in answers for c in answer.claims if c.evidence), key=_weight):
        claims.setdefault(claim.statement, claim)
    guesses = dict.fromkeys(guess for answer in answers for guess in answer.guesses)
    common = Counter(answer.verdict for answer in answers).most_common(1)
    verdict = common[0][0] if common else Verdict.INCONCLUSIVE
    return Hypothesis(
        verdict=Verdict.FINETUNED if any(map(_passed, claims.values())) else verdict,
        summary="\n".join(answer.summary for answer in answers),
        claims=tuple(claim.model_copy(update={"check": None}) for claim in claims.values()),
        guesses=tuple(guesses)[:_MOST_GUESSES],
        incomplete=why,
    )


def _worth_copying(members: Sequence[Member]) -> set[str]:
    """The readings that are copied: those of the weightiest claims, where there are too many."""
    answers = [(member, answer) for member in members if (answer := member.run.hypothesis) is not None]
    claims = [(claim, member) for member, answer in answers for claim in answer.claims]
    wanted: set[str] = set()
    for claim, member in sorted(claims, key=lambda pair: _weight(pair[0])):
        quoted = Hypothesis(verdict=Verdict.FINETUNED, summary="", claims=(claim,))
        for step in _quoted(quoted, member.steps):
            if len(wanted) < MOST_COPIES:
                wanted.add(_same(step))
    return wanted


def _passed(claim: Claim) -> bool:
    return claim.check is not None and claim.check.outcome is CheckOutcome.PASSED


def _weight(claim: Claim) -> tuple[bool, float]:
    """Claims that passed their test first, then by confidence."""
    return not _passed(claim), -claim.confidence


def _quoted(answer: Hypothesis, steps: Sequence[Step]) -> list[Step]:
    """The steps that an answer quotes, in order."""
    numbers = {evidence.step for claim in answer.claims for evidence in claim.evidence}
    return [step for step in steps if step.number in numbers and step.reading is not None]


def _same(step: Step) -> str:
    """Equal for two steps that hold the same reading."""
    return json.dumps([step.instrument, step.arguments, step.reading], sort_keys=True)


def _renumbered(answer: Hypothesis, numbers: dict[int, int]) -> Hypothesis:
    """The answer with its evidence under new numbers; what none of them holds is left out."""
    claims = []
    for claim in answer.claims:
        evidence = [Evidence(step=numbers[e.step], quote=e.quote) for e in claim.evidence if e.step in numbers]
        claims.append(claim.model_copy(update={"evidence": tuple(evidence)}))
    return answer.model_copy(update={"claims": tuple(claims)})


def _briefing(answers: Sequence[Hypothesis], room: int | None) -> str:
    """The task, then each answer, as much of it as there is room for."""
    text = ""
    for longest in _QUOTES:
        text = _in_words(answers, answers, longest)
        if room is None or len(text) <= room:
            return text
    kept = [list(answer.claims) for answer in answers]
    weakest = sorted(
        ((_weight(c), i, c) for i, answer in enumerate(answers) for c in answer.claims),
        reverse=True,
        key=lambda item: item[:2],
    )
    for _, i, claim in weakest:
        kept[i].remove(claim)
        shorter = [
            answer.model_copy(update={"claims": tuple(held)}) for answer, held in zip(answers, kept, strict=True)
        ]
        text = _in_words(answers, shorter, _QUOTES[-1])
        if room is None or len(text) <= room:
            break
    return text


def _in_words(answers: Sequence[Hypothesis], shown: Sequence[Hypothesis], longest: int) -> str:
    """All of it was written by models, so it is shown inert."""
    parts = [MERGE.format(n=len(answers))]
    for number, (answer, part) in enumerate(zip(answers, shown, strict=True), 1):
        lines = list(_told(number, part, longest))
        left_out = len(answer.claims) - len(part.claims)
        if left_out:
            lines.insert(-1, f"({left_out} weaker claims are left out here)")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _told(number: int, answer: Hypothesis, longest: int) -> Iterator[str]:
    """One answer; quotes are cut without a mark, so that what is shown can be copied."""
    left = f" (left incomplete: {one_line(inert(answer.incomplete))})" if answer.incomplete is not None else ""
    yield f"answer {number}: {answer.verdict.value}{left}"
    yield "<<<"
    yield f"summary: {one_line(inert(answer.summary), 2 * longest)}"
    for place, claim in enumerate(answer.claims, 1):
        test = f"; {_test(claim.check)}" if claim.check is not None else ""
        about = f"{claim.kind.value}, confidence {claim.confidence:.2f}{test}"
        yield f"claim {number}.{place} ({about}): {one_line(inert(claim.statement), _STATEMENT)}"
        for evidence in claim.evidence:
            yield f"  step {evidence.step}: «{' '.join(inert(evidence.quote).split())[:longest]}»"
    if answer.guesses:
        yield f"guesses: {'; '.join(one_line(inert(guess), longest) for guess in answer.guesses)}"
    yield ">>>"


def _test(check: ClaimCheck) -> str:
    """How a claim came out of its fresh test."""
    counts = f", organism {check.organism_hits}/{check.organism_total}" if check.organism_total else ""
    if check.reference_total:
        counts += f", reference {check.reference_hits or 0}/{check.reference_total}"
    return f"fresh test {check.outcome.value}{counts}"
