"""Going on with a run while its user watches: a line for each step, and what is being waited for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from finetrace.cli import console
from finetrace.cli.exits import Interrupted
from finetrace.cli.language_models import remark, tell_usage

if TYPE_CHECKING:
    from finetrace.agent import Case, Investigator, Submit, ToolCall
    from finetrace.agent.turns import Turn
    from finetrace.cli.language_models import LanguageModels
    from finetrace.cli.progress import Bars
    from finetrace.models import ModelPair
    from finetrace.schema import Run, Step
    from finetrace.store import Store


def follow(run: Run, pair: ModelPair, models: LanguageModels, store: Store) -> Run:
    """Go on with the run to its end, with progress on standard error; first with those that it merges.

    Args:
        run: New or stopped.
        pair: Its models.
        models: Whom it may ask.
        store: Where its steps go.

    Raises:
        Interrupted: Stopped with Ctrl-C.
        FinetraceError: The run cannot go on; it can be resumed.
    """
    from finetrace.agent.merging import MERGES, members_of
    from finetrace.cli.transcript import usage_text

    go_on = _follow_merging if MERGES in run.settings else _follow
    with _resumable(f"finetrace investigate --resume {run.run_id}"):
        try:
            ended = go_on(run, pair, models, store)
        finally:
            tell_usage(models.grader)
    if models.investigator is not None:
        members = members_of(run, store)
        used = sum((member.usage for member in members), ended.usage)
        remark(f"used{f' by all {len(members) + 1} runs' if members else ''}: {usage_text(used)}")
    return ended


def _follow_merging(run: Run, pair: ModelPair, models: LanguageModels, store: Store) -> Run:
    """Go on with the runs that are to be merged, then merge them."""
    from finetrace.agent import make_investigator
    from finetrace.agent.merging import MergingInvestigator, members_of, prepare_merge, waiting_for_members
    from finetrace.schema import RunStatus

    with waiting_for_members(run, store):
        for member in members_of(run, store):
            if member.status is not RunStatus.FINISHED:
                _follow(member, pair, models, store)
    material = prepare_merge(run, store, _room(run, pair, models))
    remark(f"merging {len(material.answers)} answers, {len(material.steps)} readings")
    run = run.model_copy(update={"settings": {**run.settings, "briefing": material.briefing}})
    merging = MergingInvestigator(make_investigator(run.investigator), material.answers)
    return _follow(run, pair, models, store, merging)


def _room(run: Run, pair: ModelPair, models: LanguageModels) -> int | None:
    """Characters that a briefing may have, where the model's window bounds it."""
    from finetrace.agent.estimate import size_of

    window = None if models.investigator is None else models.investigator.window
    return size_of(run.arm, pair, window).room


def _follow(
    run: Run, pair: ModelPair, models: LanguageModels, store: Store, investigator: Investigator | None = None
) -> Run:
    """Go on with one run."""
    from finetrace.agent import investigate as go_on
    from finetrace.agent import make_investigator
    from finetrace.cli.progress import Bars
    from finetrace.settings import get_settings
    from finetrace.tools import Context

    remark(f"run {run.run_id} · {run.organism} · arm {run.arm} · seed {run.seed}")
    decides = investigator or make_investigator(run.investigator)
    with Bars(console.remarks()) as bars:

        def tell(step: Step) -> None:
            bars.console.print(step_line(step))

        context = Context(seed=run.seed, progress=bars.advance, grader=models.grader)
        checkpoints = get_settings().data_dir / "checkpoints.db"
        return go_on(run, pair, store, context, checkpoints, on_step=tell, investigator=_Watched(decides, bars))


class _Watched:
    """An investigator whose user sees that it is waited for.

    Args:
        within: Who decides.
        bars: Where it is shown.
    """

    def __init__(self, within: Investigator, bars: Bars) -> None:
        self.name, self.model = within.name, within.model
        self._within, self._bars = within, bars

    def decide(self, case: Case) -> ToolCall | Submit | Turn:
        """What it decides.

        Raises:
            FinetraceError: It cannot.
        """
        if self.model is None:
            return self._within.decide(case)
        with self._bars.waiting(self.name):
            return self._within.decide(case)


@contextlib.contextmanager
def _resumable(again: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Interrupted(again) from stop


def step_line(step: Step) -> str:
    """One line of progress for a step that is done."""
    from finetrace.agent.turns import turn_of
    from finetrace.cli.escaping import visible

    what = step.instrument or step.kind.value
    view = f" ({step.arguments['view']})" if "view" in step.arguments else ""
    parts = [f"step {step.number}: {what}{view}"]
    turn = turn_of(step)
    if turn is not None and turn.uses:
        parts.append(f"{len(turn.uses)} call{'s' if len(turn.uses) > 1 else ''}")
    if turn is not None:
        cost = "cost unknown" if step.usage.cost_usd is None else f"${step.usage.cost_usd:.4f}"
        parts += [f"{step.usage.tokens:,} tokens", cost]
    parts.append(f"failed: {step.error}" if step.error else f"{step.usage.seconds:.1f} s")
    return visible(" · ".join(parts), one_line=True)
