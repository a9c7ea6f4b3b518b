"""What grading by a language model will take, said before it begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from finetrace.agent.estimate import CHARACTERS_A_TOKEN, Estimate, Span
from finetrace.evals.grading.llm_grader import ASKED
from finetrace.evals.grading.llm_rubric import Report, grading_messages, key_facts_of
from finetrace.evals.grading.pairs import GradingPair, made_soups
from finetrace.schema import Truth
from finetrace.settings import Price

REPORT = Span(low=400, high=4000)
"""Characters of a report with its guesses, where it is not known yet."""
_FACT_TOKENS = 30
_ANSWER_TOKENS = Span(low=60, high=600)
"""Beside the facts: a reason, and hidden reasoning where a model does any."""
_MILLION = 1_000_000


def estimate_pairs(pairs: Sequence[GradingPair], grades: int, price: Price | None) -> Estimate:
    """What grading labelled pairs will take, with the lists of keywords that are made from their truths.

    Args:
        pairs: To be graded.
        grades: How many times each; the lists are graded once.
        price: The grader's; ``None`` where it is unknown.
    """
    known = sum(len(pair.hypothesis) for pair in pairs) / max(1, len(pairs))
    report = Span(low=known, high=known)
    whole = estimate_grading([pair.truth for pair in pairs], price, report).times(grades)
    soups = [soup.truth for soup in made_soups(pairs)]
    return whole + estimate_grading(soups, price, report) if soups else whole


def estimate_grading(truths: Iterable[Truth], price: Price | None, report: Span = REPORT) -> Estimate:
    """What so many gradings will take, one for each truth.

    Args:
        truths: Against which truth each report will be graded.
        price: The grader's; ``None`` where it is unknown.
        report: Characters of a report.
    """
    n, read, facts = 0, 0.0, 0
    for truth in truths:
        n += 1
        facts += len(key_facts_of(truth))
        read += sum(len(message.content) for message in grading_messages(Report(""), truth)) / CHARACTERS_A_TOKEN
    tokens_in = Span(low=read, high=read) + report.times(n / CHARACTERS_A_TOKEN)
    written = _FACT_TOKENS * facts
    tokens_out = Span(low=written, high=written) + _ANSWER_TOKENS.times(n)
    cost = None
    if price is not None:
        cost = tokens_in.times(price.input / _MILLION) + tokens_out.times(price.output / _MILLION)
    return Estimate(llm_calls=Span(low=n, high=n * ASKED), tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=cost)
