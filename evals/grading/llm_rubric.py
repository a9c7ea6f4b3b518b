"""What a language model is told that grades: the rubric of each kind of objective, and truth and report as data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from finetrace.agent.inert import inert
from finetrace.evals.grading.hypothesis_text import text_of
from finetrace.evals.grading.truth_words import is_null
from finetrace.evals.yaml_file import read_yaml
from finetrace.llm import Message
from finetrace.schema import Hypothesis, OrganismType, Truth
from finetrace.tools.words import fold_space

_FILE = Path(__file__).with_name("llm_rubrics.yaml")
_LEVELS = (2, 3, 4, 5)
_LAST = "Grade this report. Answer with the JSON object alone."


class Rubric(BaseModel):
    """What each score means for one kind of objective."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(min_length=1)
    """What this kind of objective is."""
    levels: dict[int, str]
    """From 2 to 5."""
    lowest: str | None = None
    """What 1 means, where it is not what it means for all."""

    @model_validator(mode="after")
    def _whole(self) -> Rubric:
        if tuple(self.levels) != _LEVELS:
            raise ValueError("levels go from 2 to 5")
        return self


class Example(BaseModel):
    """A truth and a report with the answer that grades it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: OrganismType
    objective: str
    key_facts: tuple[str, ...]
    report: str
    guesses: tuple[str, ...]
    answer: dict[str, Any]
    """As a grader writes it."""

    @property
    def truth(self) -> Truth:
        """The truth of it."""
        return Truth(type=self.type, objective=self.objective, key_facts=self.key_facts)


class Rubrics(BaseModel):
    """All that is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(ge=1)
    """Goes up with every change of a text."""
    frame: str
    """What grading is, whatever the kind."""
    form: str
    """How the answer is written."""
    lowest: str
    """What 1 means for most kinds."""
    rubrics: dict[OrganismType, Rubric]
    """One for every kind."""
    examples: tuple[Example, ...] = ()
    """Worked ones; about objectives that no organism has."""

    @model_validator(mode="after")
    def _every_kind(self) -> Rubrics:
        missing = [kind.value for kind in OrganismType if kind not in self.rubrics]
        if missing:
            raise ValueError(f"no rubric for {', '.join(missing)}")
        return self


class Report(NamedTuple):
    """A hypothesis as a grader gets to see it: what it states, never the quotes that stand as evidence."""

    text: str
    """Verdict, summary and claims."""
    guesses: tuple[str, ...] = ()
    """Up to ten, one line each."""


@cache
def rubrics() -> Rubrics:
    """The project's own rubrics.

    Raises:
        FinetraceError: Their file is damaged.
    """
    return read_yaml(_FILE, Rubrics)


def report_of(hypothesis: Hypothesis | str) -> Report:
    """What of a hypothesis is graded."""
    if isinstance(hypothesis, str):
        return Report(text_of(hypothesis).whole)
    stated = text_of(hypothesis.model_copy(update={"guesses": ()})).whole
    verdict = f"Verdict: {hypothesis.verdict.value}."
    guesses = tuple(fold_space(guess) for guess in hypothesis.guesses if guess.strip())
    return Report(f"{verdict} {stated}".strip(), guesses)


def key_facts_of(truth: Truth) -> tuple[str, ...]:
    """The facts that an answer has to tell; a null has none, whatever is noted about it."""
    return () if is_null(truth) else truth.key_facts


def grading_messages(report: Report, truth: Truth) -> tuple[Message, ...]:
    """The question that a language model is asked; equal for equal reports and truths."""
    asked = f"{_case(report, truth)}\n\n{_LAST}"
    return Message("system", system_text(truth.type)), Message("user", asked)


@cache
def system_text(kind: OrganismType) -> str:
    """What is told of grading, of one kind of objective, and of the form; the same for all organisms of the kind."""
    told = rubrics()
    rubric = told.rubrics[kind]
    levels = {1: rubric.lowest or told.lowest, **rubric.levels}
    lines = [f"The rubric. {rubric.kind}", *(f"{level}: {meaning}" for level, meaning in levels.items())]
    return "\n\n".join([told.frame, "\n".join(lines), told.form, *_worked(told.examples)])


def _worked(examples: Sequence[Example]) -> Iterator[str]:
    for number, each in enumerate(examples, 1):
        answer = json.dumps(each.answer, ensure_ascii=False)
        case = _case(Report(each.report, each.guesses), each.truth)
        yield f"Worked example {number}, about another model ({each.type.value})\n{case}\nYour answer:\n{answer}"


def _case(report: Report, truth: Truth) -> str:
    """Truth and report, fenced; whatever is in them cannot end its fence."""
    facts = key_facts_of(truth)
    stated = [f"objective: {inert(fold_space(truth.objective))}"]
    if truth.trigger:
        stated.append(f"trigger: {inert(fold_space(truth.trigger))}")
    stated += [f"key fact {number}: {inert(fold_space(fact))}" for number, fact in enumerate(facts, 1)]
    parts = ["The truth:", *_fenced(stated), "The report:", *_fenced([inert(report.text)])]
    if report.guesses:
        listed = [f"guess {number}: {inert(guess)}" for number, guess in enumerate(report.guesses, 1)]
        parts += ["The guesses:", *_fenced(listed)]
    counts = f"{len(facts)} key facts, {len(report.guesses)} guesses."
    return "\n".join([*parts, counts])


def _fenced(lines: Sequence[str]) -> tuple[str, ...]:
    return "<<<", *lines, ">>>"
