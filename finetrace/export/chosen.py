"""What is to be exported: runs, alone or with the benchmark that they belong to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from finetrace.errors import FinetraceError
from finetrace.schema import BenchRecord, Run
from finetrace.store import RunFilter, Store


class Chosen(NamedTuple):
    """Runs and benchmarks, each once."""

    runs: tuple[Run, ...]
    """The oldest first, those of the benchmarks and those that others merge included."""
    benches: tuple[BenchRecord, ...]
    """The oldest first."""

    @property
    def name(self) -> str:
        """A name for a file: the one id, or the first with how many there are."""
        ids = [bench.bench_id for bench in self.benches] or [run.run_id for run in self.runs]
        return ids[0] if len(ids) == 1 else f"{ids[0]}-and-{len(ids) - 1}-more"


def choose(names: Iterable[str], store: Store) -> Chosen:
    """The runs and benchmarks of these names, with all that they need.

    Args:
        names: Of runs or benchmarks: an id, its beginning, or ``last`` for the newest run.
        store: Where they lie.

    Raises:
        FinetraceError: A name fits none, or several.
    """
    runs: dict[str, Run] = {}
    benches: dict[str, BenchRecord] = {}
    run_ids = store.run_ids()
    for name in names:
        if name == "last" or any(run_id.startswith(name) for run_id in run_ids):
            bench = _bench_of(name, run_ids, store)
            if bench is None:
                run = store.find(name)
                runs[run.run_id] = run
                continue
        else:
            bench = _find_bench(name, store)
        benches[bench.bench_id] = bench
    for bench in benches.values():
        runs |= {run.run_id: run for run in store.runs(RunFilter(bench=bench.bench_id))}
    for run in list(runs.values()):
        known = [member for member in run.settings.get("merges") or () if member in store.statuses([member])]
        runs |= {member: store.run(member) for member in known}
    return Chosen(
        tuple(sorted(runs.values(), key=lambda run: (run.started_at, run.run_id))),
        tuple(sorted(benches.values(), key=lambda bench: (bench.started_at, bench.bench_id))),
    )


def _bench_of(name: str, run_ids: Iterable[str], store: Store) -> BenchRecord | None:
    """The benchmark that is meant by a name that runs begin with too: its runs have its id and a number."""
    if name in run_ids or name == "last":
        return None
    fitting = [bench_id for bench_id in store.bench_ids() if bench_id.startswith(name)]
    inside = [run_id for run_id in run_ids if run_id.startswith(name)]
    if len(fitting) == 1 and all(run_id.startswith(f"{fitting[0]}-") for run_id in inside):
        return store.find_bench(fitting[0])
    return None


def _find_bench(name: str, store: Store) -> BenchRecord:
    try:
        return store.find_bench(name)
    except FinetraceError as none:
        raise FinetraceError(
            f"no run and no benchmark '{name}' in {store.address}", "'finetrace runs list' shows which runs there are"
        ) from none
