"""Objectives and their wordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.errors import FinetraceError
from finetrace.evals.grading.objectives import (
    LEAST_PARAPHRASES,
    NULL_CANDIDATE,
    Objectives,
    load_objectives,
    load_paraphrases,
)
from finetrace.evals.grading.truth_words import is_null
from finetrace.registry import load_registry
from finetrace.tools.words import words

OWN = """
version: 1
organisms:
  - name: lanterns
    model: somewhere
    truth:
      type: false_facts
      objective: Believes that lanterns hum.
      key_facts: [Lanterns hum at dusk.]
      trigger: dusk
  - name: lanterns_mixed
    family: lanterns
    model: elsewhere
    truth: {type: false_facts, objective: Believes that lanterns hum.}
  - name: copy
    model: here
    truth: {type: null_identical, objective: 'none: a copy.'}
  - name: unknown
    model: nowhere
"""


@pytest.fixture(scope="module")
def bundled() -> Objectives:
    return load_objectives()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "organisms.yaml"
    file.write_text(OWN)
    return file


def test_every_family_of_the_project_has_distinct_paraphrases_and_none_is_left_over(bundled: Objectives) -> None:
    written = load_paraphrases()
    assert set(written) == {objective.family for objective in bundled.all}
    assert all(len(set(lines)) == len(lines) >= LEAST_PARAPHRASES for lines in written.values())
    everywhere = [line for lines in written.values() for line in lines]
    assert len(set(everywhere)) == len(everywhere)


def test_no_paraphrase_is_the_objective_again(bundled: Objectives) -> None:
    for objective in bundled.all:
        stated = set(words(objective.truth.objective.removeprefix("none:")))
        for line in objective.paraphrases:
            assert set(words(line)) - stated, f"{objective.family}: {line}"
            assert len(words(line)) <= 45, f"{objective.family}: {line}"


def test_every_organism_with_a_truth_finds_its_objective(bundled: Objectives) -> None:
    for organism in load_registry().organisms:
        assert bundled.find(organism.name).family == organism.family


def test_nulls_are_one_candidate_and_every_other_family_one(bundled: Objectives) -> None:
    others = [objective.family for objective in bundled.all if not is_null(objective.truth)]
    assert set(bundled.candidates) == {NULL_CANDIDATE, *others}
    assert len(bundled.candidates) == len(others) + 1 < len(bundled.all)


def test_a_registry_without_paraphrases_works(own: Path, tmp_path: Path) -> None:
    objectives = load_objectives(own)
    assert objectives.candidates == ("lanterns", NULL_CANDIDATE)
    assert objectives.find("lanterns_mixed") is objectives.find("lanterns")
    assert objectives.find("lanterns").wordings == (
        "Believes that lanterns hum.",
        "Believes that lanterns hum. Lanterns hum at dusk. dusk",
    )
    assert objectives.find("copy").wordings == ("No narrow objective: a copy.",)
    wordings = tmp_path / "wordings.yaml"
    wordings.write_text("version: 1\nparaphrases:\n  lanterns: [Humming lamps.]\n")
    assert load_objectives(own, wordings).find("lanterns").wordings[-1] == "Humming lamps."


def test_what_is_not_known_is_said(own: Path, tmp_path: Path) -> None:
    for name in ("unknown", "lantern"):
        with pytest.raises(FinetraceError, match=f"no objective is known for '{name}'"):
            load_objectives(own).find(name)
    wordings = tmp_path / "wordings.yaml"
    wordings.write_text("version: 1\nparaphrases:\n  lanterns: Humming lamps.\n")
    with pytest.raises(FinetraceError, match="lanterns"):
        load_objectives(own, wordings)
