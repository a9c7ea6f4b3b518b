"""Run an investigation from its first step to its answer, or go on with one that was stopped."""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from finetrace import __version__
from finetrace.agent.arms import arm_of
from finetrace.agent.budget import Budget
from finetrace.agent.graph import START_STATE, build_graph
from finetrace.agent.investigator import Investigator, Thoroughness
from finetrace.agent.llm_investigator import LlmInvestigator
from finetrace.agent.prompt import PROMPT_VERSION
from finetrace.agent.statistical import STATISTICAL, StatisticalInvestigator
from finetrace.agent.transcript import Transcript, total_usage
from finetrace.agent.workbench import MAX_STEPS, Workbench, latest_hypothesis
from finetrace.errors import FinetraceError, WorkError
from finetrace.llm import LanguageModel
from finetrace.models import ModelPair, RestrictedPair, Target
from finetrace.schema import Run, RunStatus, Step, StepKind
from finetrace.settings import writable_folder
from finetrace.store import Store, new_run_id
from finetrace.tools import Context

_RECURSION = 4 * MAX_STEPS
"""Nodes that a run may go through: a step takes two at most, repairs, refusals and the answer a few more. LangGraph's
own bound is 25."""


@dataclass(frozen=True)
class Plan:
    """What is to be investigated, and how."""

    organism: str
    """Name in the registry, or how the user named the model or the file."""
    alias: str
    """Blinded name."""
    target: Target
    """What to load."""
    arm: str
    investigator: str
    seed: int
    budget: Budget
    thoroughness: Thoroughness
    grader: str | None = None
    """Name of the language model that instruments may ask."""
    briefing: str | None = None
    """What a language model is told at the beginning in place of the arm's overview."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Whatever else is to be kept with the run."""


def start(plan: Plan, store: Store, run_id: str | None = None) -> Run:
    """Write a new run; nothing is investigated yet.

    Args:
        plan: What it does.
        store: Where to.
        run_id: An id that was fixed before; default a new one.

    Raises:
        FinetraceError: The arm or the investigator does not exist, or the store cannot be written.
    """
    arm_of(plan.arm, plan.settings)
    make_investigator(plan.investigator)
    run = Run(
        run_id=run_id or new_run_id(),
        organism=plan.organism,
        alias=plan.alias,
        arm=plan.arm,
        investigator=plan.investigator,
        seed=plan.seed,
        status=RunStatus.RUNNING,
        target=plan.target.model_dump(mode="json"),
        settings={
            "budget": plan.budget.model_dump(mode="json"),
            "thoroughness": plan.thoroughness.model_dump(mode="json"),
            "grader": plan.grader,
            "briefing": plan.briefing,
            **({} if plan.investigator == STATISTICAL else {"prompt_version": PROMPT_VERSION}),
            **plan.settings,
        },
        version=__version__,
        started_at=datetime.now(UTC),
    )
    store.start_run(run)
    return run


def make_investigator(name: str) -> Investigator:
    """The investigator of that name: ``statistical``, or a language model's as litellm writes it.

    Raises:
        FinetraceError: There is none, or its key is missing.
    """
    if name == STATISTICAL:
        return StatisticalInvestigator()
    if "/" not in name and difflib.get_close_matches(name, [STATISTICAL], cutoff=0.6):
        raise FinetraceError(f"no investigator '{name}'", f"did you mean {STATISTICAL}?")
    return LlmInvestigator(LanguageModel(name))


def investigate(
    run: Run,
    pair: ModelPair,
    store: Store,
    context: Context,
    checkpoints: Path,
    on_step: Callable[[Step], None] | None = None,
    investigator: Investigator | None = None,
) -> Run:
    """Go on with a run from where it stands until it is finished.

    A run killed at any moment can be given here again: steps that were written are not taken again.

    Args:
        run: The run, new or stopped.
        pair: Its models, opened from ``run.target``.
        store: Where its steps go.
        context: Seed, cache, progress, and the grader of the run's settings.
        checkpoints: SQLite file of LangGraph's checkpoints.
        on_step: Called with each new step.
        investigator: Who decides; default the one that the run names.

    Raises:
        FinetraceError: The store or the cache cannot be written, or another process is at work on the run; the run
            stays resumable.
    """
    with _alone_with(run.run_id, checkpoints.parent):
        return _investigate(run, pair, store, context, checkpoints, on_step, investigator)


def _investigate(
    run: Run,
    pair: ModelPair,
    store: Store,
    context: Context,
    checkpoints: Path,
    on_step: Callable[[Step], None] | None,
    investigator: Investigator | None,
) -> Run:
    arm = arm_of(run.arm, run.settings)
    transcript = Transcript(store, run.run_id, on_step)
    bench = Workbench(
        pair=RestrictedPair(pair, arm.allowed),
        arm=arm,
        alias=run.alias,
        investigator=investigator or make_investigator(run.investigator),
        budget=Budget.model_validate(run.settings["budget"]),
        thoroughness=Thoroughness.model_validate(run.settings["thoroughness"]),
        context=context,
        transcript=transcript,
        briefing=run.settings.get("briefing"),
    )
    store.set_status(run.run_id, RunStatus.RUNNING)
    try:
        # A run killed between its answer and its last checkpoint has nothing left to do.
        if not any(step.kind is StepKind.ANSWER for step in transcript.steps):
            _go_through(bench, run.run_id, checkpoints)
    except KeyboardInterrupt:
        # From the store: the interrupt may have come after a step was written and before the transcript held it.
        spent = total_usage(store.steps(run.run_id))
        store.finish_run(run.run_id, RunStatus.INTERRUPTED, None, spent)
        raise
    except Exception as error:
        message = error.message if isinstance(error, FinetraceError) else f"{type(error).__name__}: {error}"
        store.finish_run(run.run_id, RunStatus.FAILED, None, transcript.usage, message)
        raise
    store.finish_run(run.run_id, RunStatus.FINISHED, latest_hypothesis(transcript.steps), transcript.usage)
    return store.run(run.run_id)


def _go_through(bench: Workbench, run_id: str, checkpoints: Path) -> None:
    """Run the graph from its last checkpoint; where that is lost, from the steps in the store."""
    with _checkpointer(checkpoints) as saver:
        graph = build_graph(bench, saver)
        config: dict[str, Any] = {"configurable": {"thread_id": run_id}, "recursion_limit": _RECURSION}
        begun = graph.get_state(config).values
        taken = len(bench.transcript.steps)
        # A checkpoint that is ahead of the store is of an earlier run by this id, which was deleted.
        trusted = bool(begun) and begun["number"] <= taken
        graph.invoke(None if trusted else {**START_STATE, "number": taken}, config, durability="sync")


@contextmanager
def _alone_with(run_id: str, folder: Path) -> Iterator[None]:
    """Keep other processes of this machine from the run.

    Raises:
        FinetraceError: One is at work on it.
    """
    lock = FileLock(writable_folder(folder, "data folder") / f".run-{run_id}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as busy:
        raise FinetraceError(
            f"another process is at work on run {run_id}", "wait for it, or stop it; 'finetrace runs tail' watches it"
        ) from busy
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


@contextmanager
def _checkpointer(path: Path) -> Iterator[Any]:
    """LangGraph's saver on a SQLite file; several processes may share it.

    Raises:
        FinetraceError: The file cannot be opened or is no database.
    """
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.checkpoint.sqlite import SqliteSaver

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
    except (OSError, sqlite3.Error) as error:
        raise FinetraceError(
            f"cannot open {path}: {error}", "point FINETRACE_DATA_DIR at a folder you may write to"
        ) from error
    try:
        saver = SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=[]))
        # One at a time: SQLite does not wait for another connection when it changes a new file's journal mode.
        with FileLock(path.with_name(f".{path.name}.lock")):
            saver.setup()
        yield saver
    except sqlite3.OperationalError as error:
        raise WorkError(f"{path} cannot be written: {error}", "make room on the disk, or try again later") from error
    except sqlite3.DatabaseError as error:
        raise FinetraceError(
            f"{path} is not a usable database: {error}", "move it away; only unfinished runs need it"
        ) from error
    finally:
        connection.close()
