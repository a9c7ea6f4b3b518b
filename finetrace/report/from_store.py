"""Reports of what lies in the store."""

from __future__ import annotations

from finetrace.errors import FinetraceError
from finetrace.report.run_report import run_report
from finetrace.report.stored_run import StoredRun
from finetrace.schema import BenchRecord, GradeRecord, Run
from finetrace.store import Store

_OFFERED = 5


def find_named(name: str, store: Store) -> Run | BenchRecord:
    """What a user means by an id: a run, or a benchmark.

    Runs of a benchmark begin with its id; a name that fits them fits the benchmark first. ``last`` is the newest run.

    Raises:
        FinetraceError: None or several fit.
    """
    benches = [bench_id for bench_id in store.bench_ids() if name and bench_id.startswith(name)]
    if not benches:
        return store.find(name)
    if len(benches) > 1 and name not in benches:
        shown = ", ".join(benches[:_OFFERED]) + (" …" if len(benches) > _OFFERED else "")
        raise FinetraceError(f"{len(benches)} benchmarks begin with '{name}'", f"type more of the id: {shown}")
    bench_id = name if name in benches else benches[0]
    others = [run for run in store.run_ids() if run.startswith(name) and not run.startswith(f"{bench_id}-")]
    if others and name != bench_id:
        raise FinetraceError(
            f"a benchmark and {len(others)} other run{'s' if len(others) > 1 else ''} begin with '{name}'",
            f"type more of the id: {bench_id}, {', '.join(others[:_OFFERED])}",
        )
    return store.find_bench(bench_id)


def run_page(run: Run, store: Store) -> str:
    """The report of a run with its newest steps and grades.

    Raises:
        FinetraceError: The store cannot be read.
    """
    return run_report(run, store.steps(run.run_id), store.grades([run.run_id]))


def bench_page(record: BenchRecord, store: Store) -> str:
    """The report of a benchmark as far as it has come; one that goes on is not disturbed.

    Raises:
        FinetraceError: The store or the organisms file cannot be read.
    """
    from finetrace.evals.bench.outcomes import outcomes_of
    from finetrace.evals.bench.plan import settings_of, units_of
    from finetrace.evals.statistics.analysis import analyse
    from finetrace.report.bench_report import BenchShown, bench_report  # takes seconds: it brings the graders with it

    settings = settings_of(record)
    outcomes = outcomes_of(settings, units_of(record), store)
    ids = list(dict.fromkeys(outcome.run_id for outcome in outcomes if outcome.run_id))
    grades: dict[str, list[GradeRecord]] = {}
    for grade in store.grades(ids):
        grades.setdefault(grade.run_id, []).append(grade)
    runs = {run_id: StoredRun(store.run(run_id), store.steps(run_id), grades.get(run_id, ())) for run_id in ids}
    return bench_report(BenchShown(record, settings, outcomes, analyse(outcomes), runs))
