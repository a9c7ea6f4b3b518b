"""The statistical investigator: no language model, deterministic, an honest baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from finetrace.agent.answers import answers_of, draft_of_leads, draft_of_neutral
from finetrace.agent.claims import ClaimDraft, Draft, compose, compose_blackbox, not_different
from finetrace.agent.decision import ClaimTest, Submit, ToolCall
from finetrace.agent.evidence import reading_of
from finetrace.agent.investigator import Case
from finetrace.agent.leads import find_leads, token_quote
from finetrace.agent.moves import differs_nowhere, next_call
from finetrace.agent.terms import stem
from finetrace.agent.wording import listing
from finetrace.schema import Claim, ClaimKind, Evidence, Hypothesis, Step, Verdict
from finetrace.tools.perplexity_gap import PerplexityGapReading
from finetrace.tools.words import fold_space, words

STATISTICAL = "statistical"


class StatisticalInvestigator:
    """Composes a hypothesis from ranked completions, or from answers beside the reference's, or from answers alone."""

    name = STATISTICAL
    model = None

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
    found += [draft for draft in (draft_of_leads(steps), draft_of_neutral(steps)) if draft is not None]
    if not found and (answers := answers_of(steps)):
        found.append(compose_blackbox([a.text for a in answers], [a.prompt for a in answers]))
    return next((draft for draft in found if draft.verdict is Verdict.FINETUNED), found[0] if found else None)


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
        # Asked about a lead, both models speak of it; what only the organism tells of it is the first claim.
        test=draft.claims[0].test,
        quotes=(quote,),
    )
    return replace(draft, claims=(*draft.claims[:1], claim, *draft.claims[1:]))


def _nothing(case: Case) -> Hypothesis:
    """The answer where no instrument gave a reading."""
    faults = [step.error for step in case.steps if step.error] or [case.must_answer or "no instrument is at hand"]
    return Hypothesis(verdict=Verdict.INCONCLUSIVE, summary=f"Nothing could be measured: {faults[0]}.")


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
