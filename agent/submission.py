"""What a language model hands in, and the hypothesis it comes to."""

from __future__ import annotations

import re

from finetrace.agent.check import default_test
from finetrace.agent.decision import ClaimTest, Submit
from finetrace.agent.salvage import salvage
from finetrace.agent.submission_form import ClaimedStatement, Submission
from finetrace.schema import Claim, Evidence, Hypothesis
from finetrace.tools.english import is_function_word
from finetrace.tools.words import words

__all__ = ["Submission", "bare_quote", "salvage", "to_submit"]

_MOST_TERMS = 12
_LONG_PHRASE = 3
"""Words from which a phrase tells something even if each of them is among the commonest."""
_ELLIPSIS = re.compile(r"^(?:…|\.{3,})\s*|\s*(?:…|\.{3,})(?:\s*\(\+\d+ characters\))?$")
_LABEL = re.compile(r"^(?:organism|reference|text|prompt) ?\d*: ", re.IGNORECASE)
_MARKS = (('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("«", "»"), ("„", "“"), ("`", "`"))


def to_submit(submission: Submission, thought: str) -> Submit:
    """The decision that a submission stands for.

    Args:
        submission: As the model handed it in.
        thought: Why now.
    """
    claims = tuple(
        Claim(
            statement=claimed.statement,
            kind=claimed.kind,
            confidence=claimed.confidence,
            evidence=tuple(Evidence(step=held.step, quote=bare_quote(held.quote)) for held in claimed.evidence),
        )
        for claimed in submission.claims
    )
    tests = tuple(_test(claimed, claim) for claimed, claim in zip(submission.claims, claims, strict=True))
    hypothesis = Hypothesis(
        verdict=submission.verdict, summary=submission.summary, claims=claims, guesses=submission.guesses
    )
    return Submit(thought=thought, hypothesis=hypothesis, tests=tests)


def _test(claimed: ClaimedStatement, claim: Claim) -> ClaimTest:
    """How a fresh text shows the claim: by any one of the terms, or as a claim without terms is told."""
    terms: dict[str, None] = {}
    for written in claimed.shown_by:
        spoken = words(written)
        telling = len(spoken) >= _LONG_PHRASE or not all(is_function_word(word) for word in spoken)
        if spoken and telling:
            terms[" ".join(spoken)] = None
    kept = tuple(terms)[:_MOST_TERMS]
    return ClaimTest(terms=kept, needed=1) if kept else default_test(claim)


def bare_quote(quote: str) -> str:
    """The quote without what models put around quotes: quotation marks, an ellipsis, the label of its line.

    Only ends are taken off, so it stands wherever the quote as written stood. Where nothing is left, it is as written.
    """
    bare = _ELLIPSIS.sub("", quote.strip())
    for opening, closing in _MARKS:
        if bare.startswith(opening) and bare.endswith(closing):
            bare = bare[1:-1].strip()
            break
    bare = _ELLIPSIS.sub("", _LABEL.sub("", bare)).strip()
    return bare or quote
