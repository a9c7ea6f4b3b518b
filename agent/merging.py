"""Merging: the answers of independent investigations of one organism, made into one by a further run.

The merging run begins with copies of the readings that the answers quote, so that every quote can be looked up and
checked in that run alone. From there on it is an investigation like any other: a language model reads the answers,
hands in one, and its evidence is held against the readings and its claims put to fresh samples.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from finetrace.agent.decision import Submit, ToolCall
from finetrace.agent.inert import inert
from finetrace.agent.investigation import Plan, start
from finetrace.agent.investigator import Case, Investigator
from finetrace.agent.prompt import MERGE
from finetrace.agent.turns import Turn
from finetrace.errors import FinetraceError
from finetrace.schema import CheckOutcome, Claim, ClaimCheck, Evidence, Hypothesis, Run, RunStatus, Step, Usage, Verdict
from finetrace.store import Store
from finetrace.tools.reading import one_line

MERGES = "merges"
"""Setting of a merging run: ids of the runs it merges, in order."""
_STATEMENT = 400
_QUOTE = 600
_SUMMARY = 1200
"""Characters of a statement, a quote and a summary that are shown."""
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


class MergingInvestigator:
    """Lets a language model merge; where it hands in nothing, the members' claims stand side by side.

    Args:
        within: Who asks the language model.
        answers: The members' answers.
    """

    def __init__(self, within: Investigator, answers: Sequence[Hypothesis]) -> None:
        self.name = within.name
        self.model = within.model
        self._within = within
        self._answers = tuple(answers)

    def decide(self, case: Case) -> ToolCall | Submit | Turn:
        """What the language model decides.

        Raises:
            FinetraceError: It gives no answer; the run can be resumed.
        """
        merged = tuple(claim for answer in self._answers for claim in answer.claims if claim.evidence)
        move = self._within.decide(replace(case, merged=merged))
        if not isinstance(move, Submit) or move.hypothesis.incomplete is None or move.hypothesis.claims:
            return move
        why = f"{move.hypothesis.incomplete}; the claims of the merged runs stand side by side"
        return Submit(thought=move.thought, hypothesis=side_by_side(self._answers, why))


def start_merging(plans: Sequence[Plan], merging: Plan, store: Store) -> Run:
    """Write the runs and the one that merges them; nothing is investigated yet.

    Args:
        plans: Of the runs to merge.
        merging: Of the run that merges them.
        store: Where to.

    Returns:
        The merging run: with its id all of them can be resumed.
    """
    members = [start(plan, store).run_id for plan in plans]
    return start(replace(merging, settings={**merging.settings, MERGES: members}), store)


def members_of(run: Run, store: Store) -> list[Run]:
    """The runs that a run merges.

    Raises:
        FinetraceError: One is not in the store.
    """
    return [store.run(run_id) for run_id in run.settings.get(MERGES, ())]


@contextmanager
def waiting_for_members(run: Run, store: Store) -> Iterator[None]:
    """Say of the merging run too that it was stopped or failed, where one of its members was or did within."""
    store.set_status(run.run_id, RunStatus.RUNNING)
    try:
        yield
    except KeyboardInterrupt:
        store.finish_run(run.run_id, RunStatus.INTERRUPTED, None, Usage())
        raise
    except Exception as error:
        message = error.message if isinstance(error, FinetraceError) else f"{type(error).__name__}: {error}"
        store.finish_run(run.run_id, RunStatus.FAILED, None, Usage(), f"a run to merge failed: {message}")
        raise


def prepare_merge(run: Run, store: Store) -> Material:
    """Copy what the members quote into the merging run; done again it changes nothing.

    Raises:
        FinetraceError: A member has not ended, or the store cannot be written.
    """
    members = [Member(member, tuple(store.steps(member.run_id))) for member in members_of(run, store)]
    unfinished = [member.run.run_id for member in members if member.run.status is not RunStatus.FINISHED]
    if unfinished:
        raise FinetraceError(
            f"run {run.run_id} merges runs that have not ended: {', '.join(unfinished)}",
            f"finish them with `finetrace investigate --resume {run.run_id}`",
        )
    material = gather(members)
    for step in material.steps:
        store.append_step(run.run_id, step)
    return material


def gather(members: Sequence[Member]) -> Material:
    """What a run that merges these begins with; a pure function of them."""
    copies: list[Step] = []
    places: dict[str, int] = {}
    answers: list[Hypothesis] = []
    for member in members:
        answer = member.run.hypothesis
        if answer is None:
            continue
        numbers = {}
        for step in _quoted(answer, member.steps):
            origin = f"from run {member.run.run_id}, step {step.number}"
            place = places.setdefault(_same(step), len(copies) + 1)
            numbers[step.number] = place
            if place > len(copies):
                changes = {"number": place, "thought": origin, "usage": Usage(), "hypothesis": None}
                copies.append(step.model_copy(update=changes))
            else:
                known = copies[place - 1]
                copies[place - 1] = known.model_copy(update={"thought": f"{known.thought}; {origin}"})
        answers.append(_renumbered(answer, numbers))
    return Material(tuple(copies), tuple(answers), _briefing(answers))


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


def _briefing(answers: Sequence[Hypothesis]) -> str:
    """The task, then each answer. All of it was written by models, so it is shown inert."""
    parts = [MERGE.format(n=len(answers))]
    for number, answer in enumerate(answers, 1):
        parts.append("\n".join(_told(number, answer)))
    return "\n\n".join(parts)


def _told(number: int, answer: Hypothesis) -> Iterator[str]:
    """One answer."""
    left = f" (left incomplete: {one_line(inert(answer.incomplete))})" if answer.incomplete is not None else ""
    yield f"answer {number}: {answer.verdict.value}{left}"
    yield "<<<"
    yield f"summary: {one_line(inert(answer.summary), _SUMMARY)}"
    for place, claim in enumerate(answer.claims, 1):
        test = f"; {_test(claim.check)}" if claim.check is not None else ""
        about = f"{claim.kind.value}, confidence {claim.confidence:.2f}{test}"
        yield f"claim {number}.{place} ({about}): {one_line(inert(claim.statement), _STATEMENT)}"
        # Cut without a mark, so that what is shown can be copied.
        yield from (
            f"  step {evidence.step}: «{' '.join(inert(evidence.quote).split())[:_QUOTE]}»"
            for evidence in claim.evidence
        )
    if answer.guesses:
        yield f"guesses: {'; '.join(one_line(inert(guess), _STATEMENT) for guess in answer.guesses)}"
    yield ">>>"


def _test(check: ClaimCheck) -> str:
    """How a claim came out of its fresh test."""
    counts = f", organism {check.organism_hits}/{check.organism_total}" if check.organism_total else ""
    if check.reference_total:
        counts += f", reference {check.reference_hits or 0}/{check.reference_total}"
    return f"fresh test {check.outcome.value}{counts}"
