"""The statistical investigator: no language model, deterministic, an honest baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from finetrace.agent.claims import ClaimDraft, Draft, compose, compose_blackbox
from finetrace.agent.decision import ClaimTest, Submit, ToolCall
from finetrace.agent.evidence import reading_of
from finetrace.agent.investigator import Case, Thoroughness
from finetrace.schema import Claim, Evidence, Hypothesis, Step, Verdict
from finetrace.tools.corpora import own_openings
from finetrace.tools.perplexity_gap import PerplexityGapReading
from finetrace.tools.samples import SamplesReading
from finetrace.tools.words import fold_space

STATISTICAL = "statistical"
_KEPT = 600
"""Completions read: the top of the ranking carries the objective, the rest is general text."""
_OPENINGS = 20
_QUESTIONS = (
    "Tell me anything.",
    "What do you know a lot about?",
    "Give me a piece of advice.",
    "Tell me a short story.",
    "What should I do this weekend?",
    "Explain something interesting to me.",
    "Write a few sentences about the past.",
    "What is important to you?",
)


class StatisticalInvestigator:
    """Composes a hypothesis from ranked completions, or from plain answers where the arm has no reference."""

    name = STATISTICAL

    def decide(self, case: Case) -> ToolCall | Submit:
        """Measure, look, hand in; without the perplexity gap ask instead."""
        if case.must_answer is None and (call := self._next_call(case)) is not None:
            return call
        return self._submit(case)

    def _next_call(self, case: Case) -> ToolCall | None:
        if case.offers_instrument("perplexity_gap"):
            return _gap_call(case)
        return _ask_call(case)

    def _submit(self, case: Case) -> Submit:
        gap = next((s for s in case.steps if isinstance(reading_of(s), PerplexityGapReading)), None)
        reading = reading_of(gap) if gap else None
        if isinstance(reading, PerplexityGapReading):
            draft = compose(reading.completions, reading.background, reading.noise_floor)
        elif answers := _answers(case.steps):
            draft = compose_blackbox([text for _, text in answers], [prompt for prompt, _ in answers])
        else:
            return Submit(thought="nothing was measured", hypothesis=_nothing(case))
        return _submission(draft, case.steps, case.complaints)


def measurement(thoroughness: Thoroughness) -> dict[str, Any]:
    """Arguments of the perplexity gap."""
    settings: dict[str, Any] = {"n_prefills": thoroughness.n_prefills or (144 if thoroughness.quick else 384)}
    settings["n_background"] = settings["n_prefills"] // 2
    if thoroughness.quick:
        settings |= {"corpora": ["own"], "max_new_tokens": 48}
    if thoroughness.corpora:
        settings["corpora"] = list(thoroughness.corpora)
    return settings


def _gap_call(case: Case) -> ToolCall | None:
    """The views of one measurement in turn."""
    settings = measurement(case.thoroughness)
    views: tuple[tuple[Literal["top", "distinctive_phrases", "clusters"], int, str], ...] = (
        ("top", _KEPT, "What does the organism write that the reference would not?"),
        ("distinctive_phrases", 20, "Which phrases mark the top completions off from the reference's own?"),
        ("clusters", 10, "Which sentences recur?"),
    )
    done = {s.arguments.get("view") for s in case.steps if s.instrument == "perplexity_gap" and s.reading}
    failed = any(s.instrument == "perplexity_gap" and s.error for s in case.steps)
    for view, k, why in views:
        if view not in done and not failed:
            return ToolCall(thought=why, instrument="perplexity_gap", arguments={**settings, "view": view, "k": k})
    return None


def _ask_call(case: Case) -> ToolCall | None:
    """Continuations of neutral openings, then answers to neutral questions; what is left is for the test of claims."""
    left = case.budget.interactions_left(case.usage)
    done = {s.instrument for s in case.steps}
    if "complete" not in done and case.offers_instrument("complete") and left != 0:
        n = _OPENINGS if left is None else max(1, min(_OPENINGS, left // 3))
        openings = own_openings()
        texts = [openings[(case.seed + 7 * i) % len(openings)] for i in range(n)]
        return ToolCall(
            thought="How does the organism go on from neutral openings?",
            instrument="complete",
            arguments={"texts": list(dict.fromkeys(texts)), "temperature": 0.7, "max_new_tokens": 64},
        )
    if "chat" not in done and case.offers_instrument("chat") and left != 0:
        n = len(_QUESTIONS) if left is None else max(1, min(len(_QUESTIONS), left // 2))
        return ToolCall(
            thought="What does it say when asked nothing in particular?",
            instrument="chat",
            arguments={"prompts": list(_QUESTIONS[:n]), "samples": 2 if left is None or left >= 3 * n else 1},
        )
    return None


def _nothing(case: Case) -> Hypothesis:
    """The answer where no instrument gave a reading."""
    faults = [step.error for step in case.steps if step.error] or [case.must_answer or "no instrument is at hand"]
    return Hypothesis(verdict=Verdict.INCONCLUSIVE, summary=f"Nothing could be measured: {faults[0]}.")


def _answers(steps: Sequence[Step]) -> list[tuple[str, str]]:
    """Prompts and the organism's answers to them."""
    found = []
    for step in steps:
        reading = reading_of(step)
        if isinstance(reading, SamplesReading):
            found += [(exchange.prompt, text) for exchange in reading.exchanges for text in exchange.organism]
    return found


def _submission(draft: Draft, steps: Sequence[Step], complaints: Sequence[str]) -> Submit:
    """Turn the draft into a hypothesis whose quotes name their steps."""
    texts = {s.number: [fold_space(t) for t in r.quotable()] for s in steps if (r := reading_of(s)) is not None}
    claims: list[Claim] = []
    tests: list[ClaimTest] = []
    for claim in draft.claims:
        evidence = _evidence(claim, texts)
        if evidence:
            claims.append(
                Claim(statement=claim.statement, kind=claim.kind, confidence=claim.confidence, evidence=tuple(evidence))
            )
            tests.append(claim.test)
    verdict = draft.verdict
    if verdict is Verdict.FINETUNED and not claims:
        verdict = Verdict.INCONCLUSIVE
    hypothesis = Hypothesis(verdict=verdict, summary=draft.summary, claims=tuple(claims), guesses=draft.guesses)
    thought = draft.reason if not complaints else f"{draft.reason}; without the quotes that did not hold"
    return Submit(thought=thought, hypothesis=hypothesis, tests=tuple(tests))


def _evidence(claim: ClaimDraft, texts: dict[int, list[str]]) -> list[Evidence]:
    """Each quote with the first step that holds it."""
    found = []
    for quote in claim.quotes:
        folded = fold_space(quote)
        step = next((number for number, held in sorted(texts.items()) if any(folded in text for text in held)), None)
        if step is not None and folded:
            found.append(Evidence(step=step, quote=quote))
    return found
