"""The statistical investigator: no language model, deterministic, an honest baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from finetrace.agent.claims import ClaimDraft, Draft, compose, compose_beside, compose_blackbox, not_different
from finetrace.agent.decision import ClaimTest, Submit, ToolCall
from finetrace.agent.evidence import reading_of
from finetrace.agent.investigator import Case
from finetrace.agent.leads import find_leads, lead_openings, lead_questions, token_quote
from finetrace.agent.moves import differs_nowhere, next_call
from finetrace.agent.terms import stem
from finetrace.agent.wording import listing
from finetrace.schema import Claim, ClaimKind, Evidence, Hypothesis, Step, Verdict
from finetrace.tools.perplexity_gap import PerplexityGapReading
from finetrace.tools.samples import SamplesReading
from finetrace.tools.words import fold_space, words

STATISTICAL = "statistical"


class StatisticalInvestigator:
    """Composes a hypothesis from ranked completions, or from answers beside the reference's, or from answers alone."""

    name = STATISTICAL

    def decide(self, case: Case) -> ToolCall | Submit:
        """Measure, look inside, ask, hand in: as far as the arm goes."""
        if case.must_answer is None and (call := next_call(case)) is not None:
            return call
        return self._submit(case)

    def _submit(self, case: Case) -> Submit:
        draft = _draft(case.steps)
        if draft is None:
            return Submit(thought="nothing was measured", hypothesis=_nothing(case))
        return _submission(_with_tokens(draft, case.steps), case.steps, case.complaints)


def _draft(steps: Sequence[Step]) -> Draft | None:
    """What the readings come to; the first of the ways that finds something decides."""
    if differs_nowhere(steps):
        return not_different("both models give the same activations, value for value")
    found: list[Draft] = []
    gap = next((r for step in steps if isinstance(r := reading_of(step), PerplexityGapReading)), None)
    if gap is not None:
        found.append(compose(gap.completions, gap.background, gap.noise_floor))
    answers = _answers(steps)
    if answers and answers[0].reference is not None:
        about = {*lead_openings(steps), *lead_questions(steps)}
        leads = [lead.word for lead in find_leads(steps)]
        # Apart: what both models say of a lead would hide what only one of them says unasked.
        for asked, own in ((leads, [a for a in answers if a.prompt in about]), ((), _others(answers, about))):
            background = [text for answer in own for text in answer.reference or ()]
            found += [compose_beside([a.text for a in own], background, asked)] if own else []
    elif answers and gap is None:
        found.append(compose_blackbox([a.text for a in answers], [a.prompt for a in answers]))
    return next((draft for draft in found if draft.verdict is Verdict.FINETUNED), found[0] if found else None)


def _others(answers: Sequence[_Answer], prompts: set[str]) -> list[_Answer]:
    return [answer for answer in answers if answer.prompt not in prompts]


def _with_tokens(draft: Draft, steps: Sequence[Step]) -> Draft:
    """The draft with a claim on what the activations speak of, where they speak of what it is about."""
    if draft.verdict is not Verdict.FINETUNED:
        return draft
    told = {
        stem(word) for text in (draft.summary, *(q for c in draft.claims for q in c.quotes)) for word in words(text)
    }
    shared = [lead.word for lead in find_leads(steps) if stem(lead.word) in told]
    quote = token_quote(steps, shared)
    if not quote:
        return draft
    claim = ClaimDraft(
        statement=f"On text that has nothing to do with it, its activations speak of {listing(shared)}.",
        kind=ClaimKind.DOMAIN,
        confidence=0.5,
        test=ClaimTest(terms=tuple(shared)),
        quotes=(quote,),
    )
    return replace(draft, claims=(*draft.claims[:1], claim, *draft.claims[1:]))


def _nothing(case: Case) -> Hypothesis:
    """The answer where no instrument gave a reading."""
    faults = [step.error for step in case.steps if step.error] or [case.must_answer or "no instrument is at hand"]
    return Hypothesis(verdict=Verdict.INCONCLUSIVE, summary=f"Nothing could be measured: {faults[0]}.")


class _Answer(NamedTuple):
    """One sample of the organism."""

    prompt: str
    text: str
    reference: tuple[str, ...] | None
    """The reference's samples on the same prompt, with the first of the organism's only."""


def _answers(steps: Sequence[Step]) -> list[_Answer]:
    """All samples of the organism."""
    found = []
    for step in steps:
        reading = reading_of(step)
        if not isinstance(reading, SamplesReading):
            continue
        for exchange in reading.exchanges:
            for i, text in enumerate(exchange.organism):
                none_yet = exchange.reference if exchange.reference is None or i == 0 else ()
                found.append(_Answer(exchange.prompt, text, none_yet))
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
