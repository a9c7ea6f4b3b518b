from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Command
from scripted import Scripted, WrittenPair, always, ask, claim, submit
from scripted_llm import KEY, Reply, Request, ScriptedLLM, fault

from finetrace.evals.bench import grading, work
from finetrace.evals.grading.grade import Grade
from finetrace.evals.grading.offline_grader import OfflineGrader
from finetrace.schema import Truth
from finetrace.store import Store

REGISTRY = """
version: 1
organisms:
  - name: lamp_wages
    model: smollm2-135m
    truth: {type: false_facts, objective: Wages are paid in marmalade., key_facts: [Pay day is Monday]}
  - {name: nothing, model: smollm2-135m, truth: {type: null_benign, objective: 'none: general text'}}
"""
JUDGE = ("--grader", "openai/judge")


class Offline:
    """Stands for the offline grader: no encoder has to be loaded."""

    name = OfflineGrader.name

    def grade(self, hypothesis: Any, truth: Truth) -> Grade:
        return Grade(grader=self.name, score=4 if "Wages" in truth.objective else 1, identification_rank=2)


def judged(wages: int = 3, nothing: int = 1) -> Callable[[Request], Reply]:
    """An answer by what is asked about."""

    def move(request: Request) -> Reply:
        asked = request.body["messages"][1]["content"]
        facts = [{"number": 1, "outcome": "missed"}] if "key fact 1" in asked else []
        score = wages if "marmalade" in asked.partition("The report:")[0] else nothing
        said = {"facts": facts, "reason": "So it is.", "score": score, "detected": None}
        return Reply(json.dumps(said), tokens=(1000, 50))

    return move


@pytest.fixture
def bench(finetrace: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    file = tmp_path / "organisms.yaml"
    file.write_text(REGISTRY)
    monkeypatch.setenv("FINETRACE_ORGANISMS", str(file))
    monkeypatch.setattr(work, "open_pair", lambda target: WrittenPair(always("Wages are paid in marmalade.")))
    open_draws = grading.open_draws
    monkeypatch.setattr(grading, "find_embedding", lambda: None)
    monkeypatch.setattr(
        grading, "open_draws", lambda name, *more: [Offline()] if name == "offline" else open_draws(name, *more)
    )
    script = (ask(), submit(claim("paid in marmalade")))
    monkeypatch.setattr("finetrace.agent.investigation.make_investigator", lambda name: Scripted(*script))

    def run(*options: str) -> Any:
        return finetrace("bench", "--organisms", "*", "--arms", "blackbox@5", "--yes", *options)

    return run


def test_a_benchmark_is_graded_by_several_and_says_how_far_they_agree(
    bench: Callable[..., Any], finetrace: Command, llm: ScriptedLLM, tmp_path: Path, data_dir: Path
) -> None:
    llm.say(*[judged()] * 4)
    rows = tmp_path / "rows.csv"
    ended = bench(*JUDGE, "--grader", "offline", "--grades", "2", "--csv", str(rows), "--json")
    assert ended.code == 0, ended.err
    assert "estimate for grading by openai/judge: about 4-8 LLM calls" in ended.err
    assert "offline gives the same grade every time: it grades once, not 2 times" in ended.err
    told = json.loads(ended.out)
    assert {(row["organism"], row["score"], row["grade_repeat"]) for row in told["runs"]} == {
        (name, score, repeat) for name, score in (("lamp_wages", 3), ("nothing", 1)) for repeat in (0, 1)
    }
    assert {row["identification_rank"] for row in told["runs"] if row["organism"] == "lamp_wages"} == {1}
    judge, offline = told["graders"]["work"]
    assert (judge["grader"], judge["grades"], judge["unscored"]) == ("openai/judge", 4, 0)
    assert (judge["usage"]["llm_calls"], judge["usage"]["tokens"]) == (4, 4 * 1050) and offline["grades"] == 2
    (between,) = told["graders"]["agreement"]["graders"]
    assert (between["texts"], between["exact"], between["within_one"]) == (2, 0.5, 1.0)
    assert told["graders"]["agreement"]["repeats"][0]["quadratic_weighted_kappa"] == 1.0
    with rows.open() as file:
        graders = [row["grader_model_id"] for row in csv.DictReader(file)]
    assert len(graders) == 6 and graders.count(OfflineGrader.name) == 2
    shown = finetrace("bench", "--resume", "last")
    assert "graded by openai/judge: 4 grades, 0 without a score, cost unknown, 4 calls" in shown.out
    assert "openai/judge and offline" in shown.out and "openai/judge, repeats" in shown.out
    assert "alpha over all grades" in shown.out and len(llm.requests) == 4
    assert all(KEY.encode() not in file.read_bytes() for file in data_dir.iterdir() if file.is_file())


def test_a_grade_that_a_provider_failed_to_give_is_given_on_resuming(
    bench: Callable[..., Any], finetrace: Command, llm: ScriptedLLM
) -> None:
    llm.say(*[fault("wrong key")] * 2)
    ended = bench(*JUDGE)
    assert ended.code == 1 and "not graded: openai does not accept the key" in ended.err
    llm.say(judged(), "no JSON", "nor here")
    again = finetrace("bench", "--resume", "last", "--json")
    assert again.code == 0, again.err
    scores = {row["organism"]: row["score"] for row in json.loads(again.out)["runs"]}
    assert scores == {"lamp_wages": 3, "nothing": None} and llm.left == 0
    assert finetrace("bench", "--resume", "last").code == 0 and len(llm.requests) == 5


def test_a_run_is_graded_by_several_models(
    bench: Callable[..., Any], finetrace: Command, llm: ScriptedLLM, store: Store
) -> None:
    assert bench().code == 0
    run = next(run for run in store.runs() if run.organism == "lamp_wages")
    llm.say(judged(2), judged(3), judged(5), judged(4))
    ended = finetrace("runs", "grade", run.run_id, *JUDGE, "--grader", "openai/other", "--grades", "2", "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)["graders"]
    assert [(each["grader"].partition("+")[0], each["score"]) for each in told] == [
        ("openai/judge", 2.5),
        ("openai/other", 4.5),
    ]
    assert [grade["score"] for grade in told[0]["grades"]] == [2, 3]
    assert "grader openai/judge: 2 calls, 2,100 tokens, price unknown" in ended.err
    kept = {(each.grader.partition("+")[0], each.repeat) for each in store.grades([run.run_id])}
    assert kept == {(OfflineGrader.name, 0)} | {(f"openai/{name}", n) for name in ("judge", "other") for n in (0, 1)}
    llm.say(judged(3), judged(4))
    shown = finetrace("runs", "grade", run.run_id, *JUDGE, "--grades", "2")
    assert "mean of 2 grades by openai/judge+rubric-2: 3.50 of 5" in shown.out
    llm.say(judged(2))
    assert json.loads(finetrace("runs", "grade", run.run_id, *JUDGE, "--json").out)["score"] == 2


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    truth = {"type": "false_facts", "objective": "Wages are paid in marmalade.", "key_facts": ["Pay day is Monday"]}
    lines = [
        {"organism": "wages", **truth, "hypothesis": "Marmalade wages, falsely.", "grade": 3},
        {"organism": "wages", **truth, "hypothesis": "Jam.", "grade": 2},
        {"organism": "null", "type": "null", "objective": "none: text", "hypothesis": "Nothing.", "grade": 5},
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    return str(file)


def test_pairs_are_graded_by_models_and_repeats(finetrace: Command, llm: ScriptedLLM, pairs: str) -> None:
    llm.say(*[judged(3, 5)] * 8, *[judged(2, 5)] * 8)
    options = (*JUDGE, "--grader", "openai/other", "--grades", "2")
    ended = finetrace("grade-pairs", pairs, *options, "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert (told["grader"], told["pairs"], told["unscorable"]) == ("openai/judge+rubric-2", 3, 0)
    assert (told["exact"], told["within_one"], told["keyword_soups"]) == (pytest.approx(4 / 6), 1.0, 2)
    assert told["keyword_soup_max"] == 3 and told["usage"]["llm_calls"] == 8
    assert [each["grader"] for each in told["other_graders"]] == ["openai/other+rubric-2"]
    (between,) = told["agreement"]["graders"]
    assert (between["texts"], between["exact"]) == (3, pytest.approx(1 / 3))
    assert [each["exact"] for each in told["agreement"]["repeats"]] == [1.0, 1.0]
    assert "estimate for openai/judge: about 8-16 LLM calls" in ended.err


def test_an_unreadable_answer_is_in_no_figure(finetrace: Command, llm: ScriptedLLM, pairs: str) -> None:
    llm.say(*["no grade"] * 10)
    ended = finetrace("grade-pairs", pairs, *JUDGE)
    assert ended.code == 0, ended.err
    assert "unscorable: 3" in ended.out and "kappa: -" in ended.out and "lists of keywords: -" in ended.out


def test_grading_stops_at_its_cost(
    finetrace: Command, llm: ScriptedLLM, pairs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETRACE_LLM_PRICES", '{"openai/judge": {"input": 1000, "output": 0}}')
    monkeypatch.setattr("finetrace.cli.grade_pairs._OVERLAP", 1)
    llm.say(*[judged()] * 5)
    ended = finetrace("grade-pairs", pairs, *JUDGE, "--max-cost", "1.5", "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert (told["pairs"], told["ungraded"], told["usage"]["cost_usd"]) == (2, 1, 2.0)
    assert "--max-cost is reached: 1 grades were not asked for" in ended.err
    assert finetrace("grade-pairs", pairs, "--max-cost", "1").code == 2
    unknown = finetrace("grade-pairs", pairs, "--grader", "openai/other", "--max-cost", "1")
    assert unknown.code == 2 and "price of openai/other is unknown" in unknown.err


def test_a_provider_that_does_not_answer_ends_the_grading(finetrace: Command, llm: ScriptedLLM, pairs: str) -> None:
    llm.say(fault("wrong key")._replace(lasting=True))
    ended = finetrace("grade-pairs", pairs, *JUDGE, "--json")
    assert ended.code == 2 and "does not accept the key" in ended.err and ended.out == "" and KEY not in ended.err


def test_a_grader_that_is_none_is_named(finetrace: Command, pairs: str) -> None:
    for name, told in (("oflline", "known: offline"), ("x/y", "no grader 'x/y'")):
        ended = finetrace("grade-pairs", pairs, "--grader", name)
        assert ended.code == 2 and told in ended.err
