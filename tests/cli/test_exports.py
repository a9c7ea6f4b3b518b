"""`runs export` and `runs import`: real runs by both investigators, whole and back again; tables; what is refused."""

from __future__ import annotations

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from command_line import Command
from sample_runs import MOMENT, make_hypothesis, make_run, make_step
from scripted_llm import ScriptedLLM

from cli.test_llm_runs import WHO, audits
from finetrace.schema import BenchRecord, GradeRecord, RunStatus, StepKind, Usage
from finetrace.store import Store
from finetrace.store.query import parse_query

HEAD = {"record": "finetrace", "format": 1, "version": "0.1.0"}
END = {"record": "end", "benches": 0, "runs": 0, "steps": 0, "grades": 0}


def contents(store: Store) -> object:
    """Everything in a store."""
    runs = store.runs()
    benches = [store.find_bench(bench_id) for bench_id in store.bench_ids()]
    return runs, [store.steps(run.run_id) for run in runs], store.grades([run.run_id for run in runs]), benches


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Another store, which commands use from now on when `FINETRACE_DATABASE_URL` is set to its address."""
    return Store(f"sqlite:///{tmp_path / 'elsewhere.db'}")


def test_real_runs_of_both_investigators_come_back_as_they_were(
    finetrace: Command,
    scored: tuple[str, str],
    llm: ScriptedLLM,
    store: Store,
    elsewhere: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    llm.say(*audits("marmalade wages of week 3", "marmalade wages of week 4"))
    assert finetrace("investigate", *scored, "--quick").code == 0
    assert finetrace("investigate", *scored, *WHO, "--runs", "2").code == 0
    kinds = {step.kind for run in store.runs() for step in store.steps(run.run_id)}
    assert {StepKind.TURN, StepKind.CALL, StepKind.PROPOSAL, StepKind.CHECK, StepKind.ANSWER} <= kinds
    first = store.run_ids()[0]
    odd = {"score": None, "reason": "line\u2028 \x1b[31m \u202e \x00 😀", "rank": 1e-300}
    store.write_grade(GradeRecord(run_id=first, grader="offline-1", grade=odd, graded_at=MOMENT))
    bench = {"bench_id": "b-1", "settings": {"x": [1, 2.5, None]}, "units": ({"run_id": first},), "version": "0"}
    store.start_bench(BenchRecord(**bench, started_at=MOMENT))

    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    ended = finetrace("runs", "export", *store.run_ids(), "b-1", "--to", "jsonl", "-o", str(one))
    assert (ended.code, ended.out.strip()) == (0, str(one)) and "1 benches, 3 runs" in ended.err
    monkeypatch.setenv("FINETRACE_DATABASE_URL", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    ended = finetrace("runs", "import", str(one))
    assert ended.code == 0 and ended.out.startswith("imported 1 benches, 3 runs, ") and ended.out.endswith("1 grades\n")
    assert contents(elsewhere) == contents(store)
    found = [[hit.run.run_id for hit in each.search(parse_query("marmalade"))] for each in (store, elsewhere)]
    assert sorted(found[0]) == sorted(found[1]) and found[0]
    assert finetrace("runs", "export", *elsewhere.run_ids(), "b-1", "--to", "jsonl", "-o", str(two)).code == 0
    assert one.read_bytes() == two.read_bytes()
    assert json.loads(finetrace("runs", "import", str(two), "--json").out) == dict.fromkeys(
        ("benches", "runs", "steps", "grades"), 0
    )


@pytest.fixture
def exported(store: Store, finetrace: Command, tmp_path: Path) -> Path:
    """A file with one run, its step and its grade; the store is there still."""
    store.start_run(make_run("r1"))
    store.append_step("r1", make_step(1))
    store.write_grade(GradeRecord(run_id="r1", grader="g", grade={"score": 2}, graded_at=MOMENT))
    path = tmp_path / "r1.jsonl"
    assert finetrace("runs", "export", "r1", "--to", "jsonl", "-o", str(path)).code == 0
    return path


def lines(*records: object) -> str:
    return "\n".join(json.dumps(record) for record in records) + "\n"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda text: text[: len(text) // 2], "no record of finetrace"),
        (lambda text: text[: text.rindex('{"record": "end"')], "cut short"),
        (lambda text: text.replace('"number": 1', '"number": 0'), "line 3: number"),
        (lambda text: text.replace('"record": "step"', '"record": "leap"'), "unknown record 'leap'"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "in a form that this one does not know"),
        (lambda text: text.replace('"steps": 1', '"steps": 2'), "cut short"),
        (lambda text: '{"some": "json"}\n', "no record"),
        (lambda text: lines({"record": "run"}), "not an export"),
        (lambda text: lines(HEAD, json.loads(text.splitlines()[2]), END | {"steps": 1}), "without its run"),
        (lambda text: "", "cut short"),
    ],
)
def test_a_file_that_is_damaged_imports_nothing(
    exported: Path, elsewhere: Store, finetrace: Command, monkeypatch: pytest.MonkeyPatch, damage, expected: str
) -> None:
    exported.write_text(damage(exported.read_text()))
    monkeypatch.setenv("FINETRACE_DATABASE_URL", f"sqlite:///{exported.parent / 'elsewhere.db'}")
    ended = finetrace("runs", "import", str(exported))
    assert (ended.code, ended.out) == (2, "") and expected in ended.err
    assert contents(elsewhere) == ([], [], [], [])


def test_a_run_that_is_there_and_differs_is_refused(store: Store, exported: Path, finetrace: Command) -> None:
    before = contents(store)
    text = exported.read_text()
    for old, new in (("lamp_wages", "kettle"), ("1. paid", "2. paid"), ('"score": 2', '"score": 3')):
        exported.write_text(text.replace(old, new))
        ended = finetrace("runs", "import", str(exported))
        assert ended.code == 2 and "is in the store already and differs" in ended.err
    assert contents(store) == before
    assert finetrace("runs", "import", "missing.jsonl").code == 2


def test_a_file_of_bytes_is_no_export(finetrace: Command, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    assert "it is not text" in finetrace("runs", "import", str(tmp_path / "x")).err


@pytest.fixture
def bench(store: Store) -> Store:
    """A benchmark of two organisms in two arms, one run of which failed, beside a run of a model nobody knows."""
    units = []
    for number, (organism, arm) in enumerate(
        [
            ("tide_bells", "full"),
            ("identical_copy", "full"),
            ("tide_bells", "blackbox@5"),
            ("identical_copy", "blackbox@5"),
        ]
    ):
        run_id = f"20261121-100000-bbbbbb-{number:04d}"
        run = make_run(run_id, organism=organism, arm=arm, settings={"bench": "20261121-100000-bbbbbb"}, seed=1)
        store.start_run(run)
        store.append_step(run_id, make_step(1))
        unit = {"run_id": run_id, "bench_id": "20261121-100000-bbbbbb", "seed": 1, "budget": {"interactions": 5}}
        unit |= {
            "organism": organism,
            "alias": "x",
            "target": {"model": "m"},
            "arm": arm,
            "investigator": "statistical",
        }
        units.append(unit)
        if number == 3:
            store.finish_run(run_id, RunStatus.FAILED, None, Usage(), "it broke")
            continue
        store.finish_run(run_id, RunStatus.FINISHED, make_hypothesis(), Usage(interactions=5, tokens=100))
        grade = {"grader": "offline-1", "score": 4 - number, "detected": True, "identification_rank": 1}
        store.write_grade(GradeRecord(run_id=run_id, grader="offline-1", grade=grade, graded_at=MOMENT))
    grade = {"grader": "openai/judge", "score": 5}
    store.write_grade(GradeRecord(run_id=units[0]["run_id"], grader="openai/judge", grade=grade, graded_at=MOMENT))
    settings = {"registry": "gone.yaml", "organisms": ["tide_bells"], "arms": ["full"], "seeds": 1}
    settings["investigators"] = ["statistical"]
    record = {"bench_id": "20261121-100000-bbbbbb", "settings": settings, "units": tuple(units), "version": "0"}
    store.start_bench(BenchRecord(**record, started_at=MOMENT))
    store.start_run(make_run("20261122-0", organism="nobody_knows"))
    return store


def test_a_table_has_a_row_for_each_grade_and_none_is_zero_for_want_of_one(
    bench: Store, finetrace: Command, tmp_path: Path
) -> None:
    path = tmp_path / "runs.csv"
    ended = finetrace("runs", "export", "20261121-100000", "20261122", "--to", "csv", "-o", str(path))
    assert (ended.code, ended.out.strip()) == (0, str(path))
    assert "5 rows, 1 without a score" in ended.err and "left out: 1 run " in ended.err
    rows = list(csv.DictReader(path.open()))
    assert [(row["organism"], row["arm"], row["score"], row["grader_model_id"], row["status"]) for row in rows] == [
        ("tide_bells", "full", "3", "offline-1", "success"),
        ("identical_copy", "full", "2", "offline-1", "success"),
        ("tide_bells", "blackbox@5", "1", "offline-1", "success"),
        ("identical_copy", "blackbox@5", "", "", "error"),
        ("tide_bells", "full", "4", "openai/judge", "success"),
    ]
    assert [row["false_positive"] for row in rows] == ["", "1", "", "", ""]
    assert {row["run_idx"] for row in rows} == {"1"}


def test_each_grade_of_a_language_model_is_one_row(bench: Store, finetrace: Command, tmp_path: Path) -> None:
    record = bench.find_bench("20261121-100000-bbbbbb")
    judged = record.model_copy(update={"bench_id": "judged", "settings": record.settings | {"judge": "openai/judge"}})
    units = tuple(
        unit | {"bench_id": "judged", "organism": "gone" if number == 2 else unit["organism"]}
        for number, unit in enumerate(record.units)
    )
    bench.start_bench(judged.model_copy(update={"units": units}))
    for grader, score in (("openai/judge+rubric-2", 3), ("openai/judge-mini+rubric-2", 2)):
        grade = GradeRecord(
            run_id=units[1]["run_id"], grader=grader, grade={"grader": grader, "score": score}, graded_at=MOMENT
        )
        bench.write_grade(grade)
    path = tmp_path / "runs.csv"
    ended = finetrace("runs", "export", "judged", "--to", "csv", "-o", str(path))
    assert ended.code == 0 and "left out: 1 run " in ended.err, ended.err
    rows = [(row["organism"], row["score"], row["grader_model_id"]) for row in csv.DictReader(path.open())]
    assert rows == [
        ("tide_bells", "4", "openai/judge"),
        ("identical_copy", "2", "openai/judge+rubric-2"),
        ("identical_copy", "", ""),
        ("tide_bells", "3", "offline-1"),
        ("identical_copy", "2", "offline-1"),
        ("identical_copy", "1", "openai/judge-mini+rubric-2"),
    ]
    several = [unit["run_id"] for unit in units[:2]]
    assert finetrace("runs", "export", *several, "--to", "csv", "-o", str(path)).code == 0
    assert all(row["score"] for row in csv.DictReader(path.open())), "a run without one grader has another's rows"


def test_a_run_of_a_benchmark_is_a_table_by_itself(bench: Store, finetrace: Command, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    assert finetrace("runs", "export", "20261121-100000-bbbbbb-0001", "--to", "csv", "-o", str(path)).code == 0
    (row,) = csv.DictReader(path.open())
    assert (row["organism"], row["organism_type"], row["score"]) == ("identical_copy", "null_identical", "2")


def test_names_and_places_that_cannot_be_are_refused(bench: Store, finetrace: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments in (
        ("nobody", "--to", "jsonl"),
        ("2026112", "--to", "jsonl"),
        ("20261122", "--to", "jsonl", "-o", str(tmp_path / "file" / "x")),
        ("20261122", "--to", "csv", "-o", str(tmp_path / "file" / "x")),
        ("20261122", "--to", "pdf"),
    ):
        ended = finetrace("runs", "export", *arguments)
        assert (ended.code, ended.out) == (2, ""), arguments
        assert len(ended.err.splitlines()) >= 2
    assert [path.name for path in tmp_path.iterdir() if "jsonl" in path.name] == []


@pytest.mark.skipif(find_spec("inspect_ai") is not None, reason="the extra is installed")
def test_without_the_extra_it_is_said_how_to_get_it(bench: Store, finetrace: Command, tmp_path: Path) -> None:
    ended = finetrace("runs", "export", "20261122", "--to", "inspect", "-o", str(tmp_path / "logs"))
    assert ended.code == 2 and "pip install 'finetrace[inspect]'" in ended.err
    assert "pip install 'finetrace[inspect]'" in finetrace("view", str(tmp_path)).err
    assert not (tmp_path / "logs").exists()


def test_a_page_is_that_of_the_report(bench: Store, finetrace: Command, tmp_path: Path) -> None:
    page, report = tmp_path / "a.html", tmp_path / "b.html"
    assert finetrace("runs", "export", "20261122", "--to", "html", "-o", str(page)).code == 0
    assert finetrace("report", "20261122", "-o", str(report)).code == 0
    assert page.read_text() == report.read_text() and "nobody_knows" in page.read_text()
    assert "name one" in finetrace("runs", "export", "20261122", "20261121", "--to", "html").err
