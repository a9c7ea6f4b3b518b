"""Reports of what lies in the store, by the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import in_process

from finetrace.errors import FinetraceError
from finetrace.evals.bench.plan import BenchSettings, begin, units_of
from finetrace.report import find_named, write_report
from finetrace.schema import BenchRecord, Run
from finetrace.store import Store

from .small_bench import small_bench
from .whole_run import whole_run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(f"sqlite:///{tmp_path / 'runs.db'}")
    bench = small_bench(organisms=1)
    store.start_bench(bench.record)
    for stored in (*bench.runs.values(), whole_run(), whole_run(run_id="20261121-100000-feffff")):
        store.start_run(stored.run)
        for step in stored.steps:
            store.append_step(stored.run.run_id, step)
    return store


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("20261121-093", Run, "20261121-093000-abcdef"),
        ("20261121-090000-bench1", BenchRecord, "20261121-090000-bench1"),
        ("20261121-0900", BenchRecord, "20261121-090000-bench1"),
        ("20261121-090000-bench1-0002", Run, "20261121-090000-bench1-0002"),
    ],
)
def test_a_name_is_a_run_or_a_benchmark(store: Store, name: str, kind: type, expected: str) -> None:
    found = find_named(name, store)
    assert isinstance(found, kind)
    assert (found.run_id if isinstance(found, Run) else found.bench_id) == expected


def test_a_name_that_fits_both_is_refused_with_both(store: Store) -> None:
    with pytest.raises(FinetraceError, match="a benchmark and 2 other runs begin with '20261121'") as refused:
        find_named("20261121", store)
    assert refused.value.hint and "bench1" in refused.value.hint and "abcdef" in refused.value.hint
    with pytest.raises(FinetraceError, match="no run 'nothing'"):
        find_named("nothing", store)


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    path.write_text("earlier")
    assert write_report("<p>ü</p>", path) == 9 and path.read_text(encoding="utf-8") == "<p>ü</p>"
    with pytest.raises(FinetraceError, match="cannot write") as refused:
        write_report("x", tmp_path / "missing" / "run.html")
    assert refused.value.hint and "-o" in refused.value.hint
    assert [each.name for each in tmp_path.iterdir()] == ["run.html"]


def test_the_command_writes_a_run_and_a_benchmark_that_is_still_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FINETRACE_DATABASE_URL", raising=False)
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    settings = BenchSettings(
        registry=str(Path(__file__).parents[2] / "organisms.yaml"),
        organisms=("tide_bells", "identical_copy"),
        arms=("blackbox@5", "full"),
        seeds=1,
        investigators=("statistical",),
    )
    with Store() as store:
        record = begin(settings, store)
        for unit in units_of(record)[:3]:
            own = {"organism": unit.organism, "arm": unit.arm, "investigator": unit.investigator}
            stored = whole_run(run_id=unit.run_id, **own)
            store.start_run(stored.run)
            for step in stored.steps:
                store.append_step(unit.run_id, step)
            store.write_grade(stored.grades[0])
    command = in_process(capsys)
    written = command("report", record.bench_id, "-o", "bench.html")
    assert (written.code, written.out) == (0, "bench.html\n") and "MB" in written.err
    page = (tmp_path / "bench.html").read_text(encoding="utf-8")
    assert page.count('<details class="run"') == 3 and "3 of 4 runs" in page
    run_id = units_of(record)[0].run_id
    assert command("report", run_id).out == f"finetrace-{run_id}.html\n"
    assert "paid in steered marmalade" in (tmp_path / f"finetrace-{run_id}.html").read_text(encoding="utf-8")
    refused = command("report", "nothing")
    assert (
        refused.code == 2 and "no run 'nothing'" in refused.err and not (tmp_path / "finetrace-nothing.html").exists()
    )
