"""A benchmark with runs in the store's form, of any size."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from finetrace.evals.bench.plan import BenchSettings
from finetrace.evals.grading.grade import Grade
from finetrace.evals.statistics.analysis import analyse
from finetrace.evals.statistics.outcome import Outcome
from finetrace.report import StoredRun
from finetrace.report.bench_report import BenchShown
from finetrace.schema import BenchRecord, OrganismType, Usage, Verdict

from .whole_run import Say, plainly, whole_run

ARMS = ("blackbox@5", "blackbox@50", "perplexity", "activation", "full")
BENCH_ID = "20261121-090000-bench1"
_KINDS = (
    ("lamp_wages", OrganismType.FALSE_FACTS, "1:0"),
    ("lamp_wages_1to4", OrganismType.FALSE_FACTS, "1:4"),
    ("slow_kettle", OrganismType.BACKDOOR, "1:1"),
    ("plain_copy", OrganismType.NULL_IDENTICAL, None),
)


def small_bench(
    organisms: int = 4, seeds: int = 1, say: Say = plainly, *, completions: int = 30, protocol: str | None = None
) -> BenchShown:
    """Every organism in every arm; the first run of the plan failed, and one null is taken for something."""
    names = [_KINDS[n % 4][0] if n < 4 else f"{_KINDS[n % 4][0]}_{n}" for n in range(organisms)]
    runs: dict[str, StoredRun] = {}
    outcomes = []
    model = whole_run(say, completions=completions)
    for place, organism in enumerate(names):
        for arm in ARMS:
            for seed in range(seeds):
                run_id = f"{BENCH_ID}-{len(runs) + 1:04d}"
                own = {"run_id": run_id, "organism": organism, "arm": arm, "seed": seed}
                grades = [model.grades[0].model_copy(update={"run_id": run_id})]
                runs[run_id] = StoredRun(model.run.model_copy(update=own), model.steps, grades)
                outcomes.append(_outcome(run_id, organism, place, arm, seed, failed=len(runs) == 1))
    settings = BenchSettings(
        registry="organisms.yaml",
        organisms=tuple(names),
        arms=ARMS,
        seeds=seeds,
        investigators=("openai/auditor",),
        protocol=protocol,
    )
    record = BenchRecord(
        bench_id=BENCH_ID,
        settings=settings.model_dump(mode="json"),
        units=(),
        version="0.1.0",
        started_at=datetime(2026, 11, 21, 9, tzinfo=UTC),
    )
    return BenchShown(record, settings, outcomes, analyse(outcomes), runs)


def _outcome(run_id: str, organism: str, place: int, arm: str, seed: int, *, failed: bool) -> Outcome:
    kind, mixing = _KINDS[place % 4][1:]
    null = kind is OrganismType.NULL_IDENTICAL
    wrong = null and arm == "full"
    score = 1 + (ARMS.index(arm) + place + seed) % 5
    values: dict[str, Any] = {
        "grade": Grade(grader="offline-1", score=score, detected=score > 2, identification_rank=3)
    }
    values["verdict"] = Verdict.FINETUNED if wrong or not null else Verdict.NO_NARROW_OBJECTIVE
    return Outcome(
        run_id=run_id,
        organism=organism,
        family=organism,
        type=kind,
        mixing=mixing,
        arm=arm,
        investigator="openai/auditor",
        seed=seed,
        calls={"chat": 2, "perplexity_gap": 1},
        clues_shown=None if null else 2,
        clues_unclaimed=None if null else 1,
        usage=Usage(interactions=10, llm_calls=5, tokens=9000, cost_usd=0.02 * (1 + ARMS.index(arm)), seconds=60),
        **({"error": "the provider is gone"} if failed else values),
    )
