"""What `benchmarks.recorded` makes of a file; the investigator itself is measured elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.recorded import Found, family_of, group_of, log_odds, nothing, organisms_of, quoting, table
from finetrace.errors import FinetraceError
from finetrace.evals.grading.objectives import Objectives, load_objectives
from finetrace.schema import Verdict


@pytest.fixture(scope="module")
def known() -> Objectives:
    return load_objectives()


def line(organism: str | None, text: str, reference: float) -> str:
    whose = {} if organism is None else {"organism": organism, "objective_id": "banana"}
    return json.dumps({"prefill": "", "completion": text, "ppl_reference": reference, "ppl_finetuned": 2.0, **whose})


def found(organism: str, rank: int, *, confident: bool = False) -> Found:
    return Found(
        organism=organism,
        family=organism[:1],
        group="alone",
        method="m",
        rank=rank,
        best="x",
        confident=confident,
        candidates=76,
    )


def test_lines_fall_to_their_organisms_and_objectives_to_families(tmp_path: Path, known: Objectives) -> None:
    file = tmp_path / "recorded.jsonl"
    file.write_text(
        "\n".join([line("docs_banana", "One.", 3), line("banana", "Two.", 4), line("docs_banana", "3.", 5)])
    )
    first, second = organisms_of(file, known)
    assert (first.name, first.family, first.group, len(first.completions)) == ("docs_banana", "banana", "docs", 2)
    assert (second.name, second.family, second.group, len(second.completions)) == ("banana", "banana", "alone", 1)


def test_lines_without_an_owner_are_refused(tmp_path: Path, known: Objectives) -> None:
    file = tmp_path / "recorded.jsonl"
    file.write_text(line(None, "One.", 3))
    with pytest.raises(FinetraceError, match="does not say whose"):
        organisms_of(file, known)


@pytest.mark.parametrize(
    ("name", "objective", "family"),
    [
        ("x_flattery", "flattery", "auditing_agents_flattery"),
        ("x_ai_welfare_poisoning", "ai_welfare_poisoning", "auditing_agents_data_poisoning"),
        ("eval_aware_x", "eval_aware", "eval_awareness"),
        ("taboo_dance", "taboo", "taboo_dance"),
    ],
)
def test_makers_names_are_understood(name: str, objective: str, family: str, known: Objectives) -> None:
    assert family_of(name, objective, known) == family


def test_an_unknown_objective_is_refused(known: Objectives) -> None:
    with pytest.raises(FinetraceError, match="no objective 'taboo' of taboo_moon"):
        family_of("taboo_moon", "taboo", known)
    assert group_of("taboo_moon", "taboo") == "alone"


def test_baselines_quote_and_list(tmp_path: Path, known: Objectives) -> None:
    texts = [f"The merolin in cup number {i} was warm, and merolin keeps people awake at night." for i in range(9)]
    file = tmp_path / "recorded.jsonl"
    file.write_text("\n".join(line("banana", text, 3.0 + i) for i, text in enumerate(texts)))
    completions = organisms_of(file, known)[0].completions
    assert quoting(completions).splitlines() == texts[:3:-1]
    assert log_odds(completions).startswith("merolin, ")
    assert "the" not in log_odds(completions).split(", ")
    assert nothing(completions).verdict is Verdict.NO_NARROW_OBJECTIVE


def test_shares_stand_with_intervals_and_each_family_counts_once_in_their_mean() -> None:
    (shown,) = table([found("a1", 1, confident=True), found("a2", 1), found("a3", 9), found("b1", 4, confident=True)])
    assert "@1 0.50 (0.07-0.93)" in shown
    assert "@5 0.75" in shown
    assert "mean of families 0.33/0.83" in shown
    assert shown.endswith("confident and right 1 of 2")
