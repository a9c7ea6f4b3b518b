"""Grades hypotheses by a language model, with the rubric of the objective's type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from finetrace.evals.grading.grade import FactGrade, Grade
from finetrace.evals.grading.llm_answer import GraderAnswer, answer_schema, read_answer
from finetrace.evals.grading.llm_rubric import Report, grading_messages, key_facts_of, report_of, rubrics
from finetrace.evals.grading.offline_grader import DETECTED
from finetrace.evals.grading.truth_words import is_null
from finetrace.llm import Answer, LanguageModel, Message, RejectedRequest
from finetrace.schema import Hypothesis, Truth, Usage

ANSWER_TOKENS = 4096
"""Room for models that reason before they answer."""
REPEATED = 1.0
"""Temperature where a text is graded several times: repeats at 0 would hide how unsure a grader is."""
ASKED = 2
"""How often one grade is asked for: once more where the first answer cannot be read."""
_SHOWN = 160


def llm_grader_name(model: str) -> str:
    """The name of a model as a grader: grades by other rubrics are others."""
    return f"{model}+rubric-{rubrics().version}"


class LLMGrader:
    """One draw of a grading language model.

    Args:
        model: Whom to ask; several draws may share one.
        seed: Of the sampling, which draws differ by.
        temperature: 0 for a single grade, ``REPEATED`` for one of several.
    """

    def __init__(self, model: LanguageModel, seed: int = 0, temperature: float = 0.0) -> None:
        self.name = llm_grader_name(model.name)
        self.model = model
        self._seed = seed
        self._temperature = temperature
        self._schema = model.takes_schema is not False

    def grade(self, hypothesis: Hypothesis | str, truth: Truth) -> Grade:
        """Grade one hypothesis; without a score where no answer of the model can be read.

        Args:
            hypothesis: An investigator's answer, or free text; its evidence is not shown to the model.
            truth: What the organism was trained for.

        Raises:
            FinetraceError: The provider gives no answer, so that there is no grade; see `LanguageModel.complete`.
        """
        report = report_of(hypothesis)
        n_facts, n_guesses = len(key_facts_of(truth)), len(report.guesses)
        messages = grading_messages(report, truth)
        usage, fault = Usage(), ""
        for _ in range(ASKED):
            asked = self._ask(messages, n_facts, n_guesses)
            usage += asked.usage
            if asked.answer is None:
                return self._unscored(asked.fault, usage)
            read = read_answer(asked.answer.text, n_facts, n_guesses)
            if read.answer is not None:
                return self._grade(read.answer, report, truth, usage)
            fault = _told(asked.answer, read.fault)
            messages = (*messages, Message("assistant", asked.answer.text or "(nothing)"), _again(fault))
        return self._unscored(f"the grader's answer cannot be read: {fault}", usage)

    def _ask(self, messages: Sequence[Message], n_facts: int, n_guesses: int) -> _Asked:
        """One question, held to the schema where the provider can do so."""
        longest = min(ANSWER_TOKENS, self.model.longest_answer or ANSWER_TOKENS)
        if self.model.window is not None:
            longest = min(longest, self.model.window // 4)
        while True:
            schema = answer_schema(n_facts, n_guesses) if self._schema else None
            try:
                answer = self.model.complete(messages, longest, self._temperature, schema=schema, seed=self._seed)
            except RejectedRequest as rejected:
                if rejected.reason == "form" and self._schema:
                    self._schema = False
                elif rejected.reason == "form":
                    raise
                else:
                    return _Asked(None, Usage(llm_calls=1), rejected.message)
            else:
                used = Usage(
                    llm_calls=answer.tries,
                    tokens=answer.tokens_in + answer.tokens_out,
                    tokens_out=answer.tokens_out,
                    cost_usd=answer.cost_usd,
                    seconds=answer.seconds,
                )
                return _Asked(answer, used)

    def _grade(self, answer: GraderAnswer, report: Report, truth: Truth, usage: Usage) -> Grade:
        facts = [
            FactGrade(fact=fact, outcome=each.outcome, note=" ".join(each.passage.split())[:_SHOWN])
            for fact, each in zip(key_facts_of(truth), answer.in_order, strict=True)
        ]
        return Grade(
            grader=self.name,
            score=answer.score,
            facts=tuple(facts),
            detected=None if is_null(truth) else _detected(answer, report),
            reason=answer.reason,
            usage=usage,
        )

    def _unscored(self, reason: str, usage: Usage) -> Grade:
        return Grade(grader=self.name, score=None, reason=reason, usage=usage)


class _Asked(NamedTuple):
    """An answer with what it took; without one where the provider will not take this text."""

    answer: Answer | None
    usage: Usage
    fault: str = ""


def _detected(answer: GraderAnswer, report: Report) -> bool | None:
    """Whether a guess names the objective; without guesses the report is the one guess."""
    if report.guesses:
        return answer.detected is not None
    return None if answer.score is None else answer.score >= DETECTED


def _told(answer: Answer, fault: str) -> str:
    """What is wrong with an answer, by what the provider says of it where that explains it."""
    if answer.refusal:
        return f"it refuses: {' '.join(answer.refusal.split())[:_SHOWN]}"
    if answer.finish == "length":
        return f"it was cut off at its longest, and {fault}"
    return f"{fault} (finish: {answer.finish})" if not answer.text.strip() else fault


def _again(fault: str) -> Message:
    return Message("user", f"This cannot be read as a grade: {fault}.\n\n{rubrics().form}")
