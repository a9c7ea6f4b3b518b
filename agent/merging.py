"""Merging: independent investigations of one organism, and a further run that makes one answer of theirs.

The merging run begins with copies of the readings that the answers quote, so that every quote can be looked up and
checked in that run alone. From there on it is an investigation like any other: a language model reads the answers,
hands in one, and its evidence is held against the readings and its claims put to fresh samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from finetrace.agent.decision import Submit, ToolCall
from finetrace.agent.investigation import Plan, start
from finetrace.agent.investigator import Case, Investigator
from finetrace.agent.merge_material import Material, Member, gather, side_by_side
from finetrace.agent.turns import Turn
from finetrace.errors import FinetraceError
from finetrace.llm import RejectedRequest
from finetrace.schema import Hypothesis, Run, RunStatus, Usage
from finetrace.store import Store

MERGES = "merges"
"""Setting of a merging run: ids of the runs it merges, in order."""


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
        try:
            move = self._within.decide(replace(case, merged=merged))
        except RejectedRequest as rejected:
            return self._side_by_side(rejected.message)
        if not isinstance(move, Submit) or move.hypothesis.incomplete is None or move.hypothesis.claims:
            return move
        return self._side_by_side(move.hypothesis.incomplete)

    def _side_by_side(self, why: str) -> Submit:
        whole = f"{why}; the claims of the merged runs stand side by side"
        return Submit(thought=why, hypothesis=side_by_side(self._answers, whole))


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


def prepare_merge(run: Run, store: Store, room: int | None = None) -> Material:
    """Copy what the members quote into the merging run; done again it changes nothing.

    Args:
        run: The merging run.
        store: Where it and its members lie.
        room: Characters that the briefing may have.

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
    material = gather(members, room)
    for step in material.steps:
        store.append_step(run.run_id, step)
    return material
