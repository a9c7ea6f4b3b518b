"""Runs as Inspect logs: one for each arm and investigator, a sample for each run."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalPlan,
    EvalPlanStep,
    EvalResults,
    EvalSample,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.model import ModelConfig, ModelUsage
from inspect_ai.viewer import ViewerConfig

from finetrace import __version__
from finetrace.agent.arms import arm_of
from finetrace.errors import FinetraceError
from finetrace.evals.statistics.intervals import mean_interval
from finetrace.evals.statistics.outcome import Measure, Outcome
from finetrace.evals.statistics.results import bounds_of
from finetrace.export.chosen import Chosen
from finetrace.export.file import replacing
from finetrace.export.inspect_sample import RUBRIC, add_usage, model_name, sample_of
from finetrace.schema import Run, RunStatus
from finetrace.store import Store

_UNNAMED = re.compile(r"[^A-Za-z0-9.]+")


class Group(NamedTuple):
    """The runs of one log: one arm, one investigator, no organism twice with the same seed."""

    arm: str
    investigator: str
    runs: tuple[Run, ...]
    repeat: int
    """From 1; runs that are there twice, organism and seed alike, go into a second log, or a third."""


def groups_of(runs: Sequence[Run]) -> list[Group]:
    """The logs that runs fall into, by arm and investigator."""
    found: dict[tuple[str, str, int], dict[tuple[str, int], Run]] = {}
    for run in runs:
        repeat = 1
        while (run.organism, run.seed) in found.setdefault((run.arm, run.investigator, repeat), {}):
            repeat += 1
        found[run.arm, run.investigator, repeat][run.organism, run.seed] = run
    return [Group(arm, who, tuple(held.values()), repeat) for (arm, who, repeat), held in sorted(found.items())]


def write_logs(chosen: Chosen, outcomes: Mapping[str, Outcome], store: Store, folder: Path) -> list[Path]:
    """Write a log for each arm and investigator into a folder; an earlier export of the same is replaced.

    Args:
        chosen: What to export.
        outcomes: What the registry knows of runs, by id.
        store: Where their steps lie.
        folder: Made where it is missing.

    Raises:
        FinetraceError: A file cannot be written.
    """
    written = []
    for group in groups_of(chosen.runs):
        log = _log(group, chosen, outcomes, store)
        path = folder / _file_name(group, chosen, log)
        with replacing(path) as draft:
            write_eval_log(log, str(draft), format="eval")
        written.append(path)
    return written


def _log(group: Group, chosen: Chosen, outcomes: Mapping[str, Outcome], store: Store) -> EvalLog:
    samples = []
    for run in group.runs:
        given = store.grades([run.run_id])
        # Inspect counts repeats from 1, seeds begin with 0.
        samples.append(sample_of(run, store.steps(run.run_id), given, outcomes.get(run.run_id), run.seed + 1))
    usage = _sum([sample.model_usage for sample in samples])
    ended = max(run.finished_at or run.started_at for run in group.runs)
    tools = _tools(group.runs[0])
    return EvalLog(
        status=_status(group.runs),
        eval=_spec(group, chosen, [str(sample.id) for sample in samples]),
        plan=EvalPlan(
            name="finetrace",
            steps=[EvalPlanStep(solver="finetrace", params={"tools": [{"name": name} for name in tools]})],
        ),
        results=_results(samples),
        stats=EvalStats(
            started_at=_begun(group, chosen).isoformat(timespec="seconds"),
            completed_at=ended.isoformat(timespec="seconds"),
            model_usage=usage,
        ),
        samples=samples,
    )


def _spec(group: Group, chosen: Chosen, organisms: Sequence[str]) -> EvalSpec:
    ids = [bench.bench_id for bench in chosen.benches]
    single = group.runs[0] if len(set(organisms)) == 1 else None
    epochs = max(run.seed for run in group.runs) + 1
    return EvalSpec(
        created=_begun(group, chosen).isoformat(timespec="seconds"),
        eval_id=_identity(group, chosen, "eval"),
        run_id=",".join(ids) or group.runs[0].run_id,
        task=_task(group),
        task_id=_identity(group, chosen, "task"),
        task_version=0,
        solver="finetrace",
        model=model_name(group.investigator),
        model_roles={} if single is None else {"target": ModelConfig(model=_target(single))},
        dataset=EvalDataset(
            name="organisms",
            samples=len(set(organisms)),
            sample_ids=list(dict.fromkeys(organisms)),
            shuffled=False,
        ),
        config=EvalConfig(epochs=epochs),
        packages={"finetrace": __version__},
        metadata={"arm": group.arm, "investigator": group.investigator, "benches": ids},
        # What organisms write is shown as plain text, whoever opens the log.
        viewer=ViewerConfig(trust_content=False),
    )


def _results(samples: Sequence[EvalSample]) -> EvalResults:
    """The mean of every score over organisms, with its interval for the rubric; what is unscored counts nowhere."""
    names = dict.fromkeys(name for sample in samples for name in sample.scores or {})
    scores = []
    for name in names:
        by_organism: dict[str, list[float]] = {}
        for sample in samples:
            score = (sample.scores or {}).get(name)
            if score is not None and not math.isnan(score.value):
                by_organism.setdefault(str(sample.id), []).append(float(score.value))
        means = [sum(values) / len(values) for values in by_organism.values()]
        n = sum(len(values) for values in by_organism.values())
        metrics = {"mean": EvalMetric(name="mean", value=sum(means) / len(means))} if means else {}
        interval = mean_interval(means, bounds_of(Measure.SCORE)) if name == RUBRIC else None
        if interval is not None and interval.low is not None:
            metrics |= {end: EvalMetric(name=end, value=getattr(interval, end)) for end in ("low", "high")}
        unscored = len(samples) - n
        scores.append(EvalScore(name=name, scorer=name, metrics=metrics, scored_samples=n, unscored_samples=unscored))
    completed = sum(sample.error is None for sample in samples)
    return EvalResults(total_samples=len(samples), completed_samples=completed, scores=scores)


def _status(runs: Sequence[Run]) -> str:
    """Success where anything was answered; single runs that failed say so themselves."""
    statuses = {run.status for run in runs}
    if RunStatus.FINISHED in statuses:
        return "success"
    return "error" if RunStatus.FAILED in statuses else "cancelled"


def _task(group: Group) -> str:
    """Letters, digits and hyphens: Inspect reads file names."""
    name = "-".join(part for part in _UNNAMED.sub("-", f"finetrace-{group.arm}").split("-") if part)
    return name if group.repeat == 1 else f"{name}-{group.repeat}"


def _file_name(group: Group, chosen: Chosen, log: EvalLog) -> str:
    """Inspect reads time, task and id from it."""
    return f"{_begun(group, chosen):%Y-%m-%dT%H-%M-%S}+00-00_{_task(group)}_{log.eval.task_id}.eval"


def _begun(group: Group, chosen: Chosen) -> datetime:
    """When all of it began."""
    return min(each.started_at for each in chosen.benches or group.runs)


def _identity(group: Group, chosen: Chosen, what: str) -> str:
    """The same each time these are exported, in Inspect's alphabet; a benchmark's runs may have become more."""
    ids = [bench.bench_id for bench in chosen.benches] or sorted(run.run_id for run in group.runs)
    words = [what, group.arm, group.investigator, str(group.repeat), *ids]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:22]


def _target(run: Run) -> str:
    return str(run.target.get("model") or run.target.get("recorded") or run.organism)


def _tools(run: Run) -> list[str]:
    """Names of the instruments at hand; none where this release does not know the arm."""
    try:
        return sorted(arm_of(run.arm, run.settings).instruments)
    except FinetraceError:
        return []


def _sum(usages: Sequence[Mapping[str, ModelUsage]]) -> dict[str, ModelUsage]:
    total: dict[str, ModelUsage] = {}
    for usage in usages:
        for name, spent in usage.items():
            total[name] = add_usage(total[name], spent) if name in total else spent
    return total
