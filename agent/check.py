"""The fresh test of each claim: new samples of both models on the prompts that showed it, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import regex

from finetrace.agent.decision import ClaimTest
from finetrace.agent.evidence import reading_of
from finetrace.models.pair import Capability, Decoding, ModelPair, Prompt
from finetrace.schema import CheckOutcome, Claim, ClaimCheck, Hypothesis, Step, Verdict
from finetrace.tools import Context
from finetrace.tools.chat import ChatArguments, chat_prompt
from finetrace.tools.gap_table import prefill_prompt
from finetrace.tools.perplexity_gap import PerplexityGapReading
from finetrace.tools.samples import Exchange, SamplesReading, sample_both
from finetrace.tools.words import padded, words

SIGNIFICANT = 0.05
"""A claim passes below this one-sided p."""
_SAMPLES = 2
_MOST_SAMPLES = 8
_PROMPTS = 24
_PROMPTS_A_CLAIM = 8
_FRESH = Decoding(max_new_tokens=64, temperature=0.7)
_PATTERN_SECONDS = 1.0
_UNTESTABLE = "no fresh samples can be drawn from recorded completions"
_ENDED = "the run ended before its test"


@dataclass(frozen=True)
class _Seen:
    """A prompt of earlier steps and what the organism answered to it."""

    prompt: Prompt
    shown: str
    """As a reading writes it."""
    answers: tuple[str, ...]
    reference: tuple[str, ...] = ()
    """What the reference answered to it, where it was asked."""


@dataclass(frozen=True)
class Checked:
    """The hypothesis after its test."""

    hypothesis: Hypothesis
    exchanges: tuple[Exchange, ...]
    """The fresh samples."""
    interactions: int
    """Fresh organism samples drawn."""


def check_claims(
    hypothesis: Hypothesis,
    tests: Sequence[ClaimTest],
    steps: Sequence[Step],
    pair: ModelPair,
    interactions: int | None,
    context: Context,
) -> Checked:
    """Put every claim to samples that were not used to form it.

    The prompts are those of earlier steps whose completions showed the claim, and where the reference did not, if there
    are such: a prompt that names the subject makes both speak of it. Each is sampled anew at temperature 0.7
    from both models, the more often the fewer they are, and the counts are compared by Fisher's exact test, one-sided.
    A claim without any fresh hit is dropped; one that is not significantly commoner in the organism stays, marked, at
    half its confidence; so does one with too few samples for any count to be significant, as untested. Without a
    reference a claim passes if it comes back in at least a quarter of the organism's fresh samples. A claim that quotes
    no evidence is dropped.

    Args:
        hypothesis: As handed in, evidence checked.
        tests: How a sample shows each claim, in order.
        steps: The transcript.
        pair: What the arm allows of the models.
        interactions: Organism samples that may be drawn; ``None`` for no bound.
        context: Seed and progress.
    """
    given = [tests[i] if i < len(tests) else default_test(claim) for i, claim in enumerate(hypothesis.claims)]
    own_tests = [test for claim, test in zip(hypothesis.claims, given, strict=True) if claim.evidence]
    hypothesis = _with_evidence_only(hypothesis)
    if not hypothesis.claims:
        return Checked(_fallen(hypothesis, "No claim has evidence"), (), 0)
    if Capability.GENERATE not in pair.capabilities:
        # What was recorded is all there will ever be, so the want of a test takes nothing from a claim.
        return Checked(_with_checks(hypothesis, [_untested(_UNTESTABLE)] * len(own_tests), untested_share=1.0), (), 0)
    seen = _seen(steps)
    support = [_support(test, seen) for test in own_tests]
    limit = _PROMPTS if interactions is None else min(_PROMPTS, interactions // _SAMPLES)
    chosen = _round_robin(support, limit)
    samples = min(_MOST_SAMPLES, limit * _SAMPLES // max(1, len(chosen)))
    fresh = _sample(chosen, samples, pair, context)
    checks = [
        _check(test, [fresh[s.prompt] for s in own if s.prompt in fresh], supported=bool(own))
        for test, own in zip(own_tests, support, strict=True)
    ]
    return Checked(_with_checks(hypothesis, checks), tuple(fresh.values()), len(chosen) * samples)


def leave_untested(hypothesis: Hypothesis) -> Hypothesis:
    """What may be handed in of a hypothesis whose test never came; one that was tested stays as it is."""
    if all(claim.check for claim in hypothesis.claims):
        unsupported = not hypothesis.claims and hypothesis.verdict is Verdict.FINETUNED
        return _fallen(hypothesis, "No claim has evidence") if unsupported else hypothesis
    kept = _with_evidence_only(hypothesis)
    return _with_checks(kept, [claim.check or _untested(_ENDED) for claim in kept.claims])


def _support(test: ClaimTest, seen: Sequence[_Seen]) -> list[_Seen]:
    """Prompts after which the organism showed the claim; those that made the reference show it, too, only for want."""
    showed = [s for s in seen if any(shows(test, answer) for answer in s.answers)]
    alone = [s for s in showed if not any(shows(test, answer) for answer in s.reference)]
    return alone or showed


def _sample(chosen: Sequence[_Seen], samples: int, pair: ModelPair, context: Context) -> Mapping[Prompt, Exchange]:
    """New samples of both models on each prompt, by prompt."""
    if not chosen:
        return {}
    # Another seed than the readings': the same draws would confirm themselves.
    decoding = Decoding(_FRESH.max_new_tokens, _FRESH.temperature, context.seed + 1)
    prompts = [s.prompt for s in chosen]
    exchanges = sample_both(pair, prompts, [s.shown for s in chosen], samples, decoding, context)
    return dict(zip(prompts, exchanges, strict=True))


def shows(test: ClaimTest, text: str) -> bool:
    """Whether a sample shows what the claim says."""
    if test.pattern is not None:
        try:
            return regex.search(test.pattern, text, timeout=_PATTERN_SECONDS) is not None
        except (regex.error, TimeoutError):
            return False
    said = padded(text)
    return bool(test.terms) and sum(f" {term} " in said for term in test.terms) >= test.needed


def default_test(claim: Claim) -> ClaimTest:
    """Told by the longer words of the claim's quotes, half of them needed."""
    found = sorted({word for e in claim.evidence for word in words(e.quote) if len(word) >= 5})[:8]
    return ClaimTest(terms=tuple(found), needed=max(1, len(found) // 2))


def _seen(steps: Sequence[Step]) -> list[_Seen]:
    """Prompts already put to the organism, each once, with all it wrote after them."""
    found: dict[Prompt, _Seen] = {}
    for step in steps:
        reading = reading_of(step)
        again: list[_Seen] = []
        if isinstance(reading, PerplexityGapReading):
            rows = reading.completions
            again = [_Seen(prefill_prompt(r.prefill, r.framing), r.prefill, (r.completion,)) for r in rows]
        elif isinstance(reading, SamplesReading):
            asked = reading.exchanges
            again = [_Seen(_prompt_again(step, e.prompt), e.prompt, e.organism, e.reference or ()) for e in asked]
        for one in again:
            first = found.get(one.prompt, _Seen(one.prompt, one.shown, ()))
            own, other = (*first.answers, *one.answers), (*first.reference, *one.reference)
            found[one.prompt] = replace(first, answers=own, reference=other)
    return list(found.values())


def _prompt_again(step: Step, text: str) -> Prompt:
    """The prompt of an exchange, from the arguments of its call."""
    if step.instrument != "chat":
        return Prompt(text)
    return chat_prompt(ChatArguments.model_validate(step.arguments), text)


def _round_robin(support: Sequence[Sequence[_Seen]], limit: int) -> list[_Seen]:
    """Prompts in turn from each claim's support, each once, a few a claim, up to ``limit``."""
    chosen: list[_Seen] = []
    for rank in range(_PROMPTS_A_CLAIM):
        for own in support:
            if rank < len(own) and len(chosen) < limit and own[rank] not in chosen:
                chosen.append(own[rank])
    return chosen


def _check(test: ClaimTest, exchanges: Sequence[Exchange], *, supported: bool) -> ClaimCheck:
    if not exchanges:
        reason = "no interactions were left for it" if supported else "no earlier completion shows it"
        return _untested(reason)
    own = [shows(test, text) for exchange in exchanges for text in exchange.organism]
    drawn = f"{len(own) // len(exchanges)} fresh samples each at temperature {_FRESH.temperature}"
    note = f"{len(exchanges)} prompts that had shown it, {drawn}"
    if exchanges[0].reference is None:
        outcome = CheckOutcome.PASSED if sum(own) >= 0.25 * len(own) else CheckOutcome.FAILED
        return ClaimCheck(outcome=outcome, organism_hits=sum(own), organism_total=len(own), note=note)
    other = [shows(test, text) for exchange in exchanges for text in exchange.reference or ()]
    p = greater(sum(own), len(own), sum(other), len(other))
    outcome = CheckOutcome.PASSED if p < SIGNIFICANT else CheckOutcome.FAILED
    if any(own) and greater(len(own), len(own), 0, len(other)) >= SIGNIFICANT:
        outcome, note = CheckOutcome.UNTESTED, f"too few samples to tell: {note}"
    return ClaimCheck(
        outcome=outcome,
        organism_hits=sum(own),
        organism_total=len(own),
        reference_hits=sum(other),
        reference_total=len(other),
        p_value=p,
        note=note,
    )


def greater(hits: int, total: int, other_hits: int, other_total: int) -> float:
    """One-sided p of Fisher's exact test that the first rate is not above the second."""
    from scipy.stats import fisher_exact

    table = [[hits, total - hits], [other_hits, other_total - other_hits]]
    return min(1.0, float(fisher_exact(table, alternative="greater").pvalue))


def _untested(note: str) -> ClaimCheck:
    return ClaimCheck(outcome=CheckOutcome.UNTESTED, note=note)


def _with_evidence_only(hypothesis: Hypothesis) -> Hypothesis:
    return hypothesis.model_copy(update={"claims": tuple(claim for claim in hypothesis.claims if claim.evidence)})


def _with_checks(hypothesis: Hypothesis, checks: Sequence[ClaimCheck], untested_share: float = 0.5) -> Hypothesis:
    """Keep what stood, mark what did not, drop what never came back; without any left, the verdict falls.

    Args:
        hypothesis: Before its test.
        checks: One a claim, in order.
        untested_share: What an untested claim keeps of its confidence.
    """
    kept_share = {CheckOutcome.PASSED: 1.0, CheckOutcome.UNTESTED: untested_share, CheckOutcome.FAILED: 0.5}
    claims: list[Claim] = []
    for claim, check in zip(hypothesis.claims, checks, strict=True):
        if check.outcome is CheckOutcome.FAILED and check.organism_hits == 0:
            continue
        confidence = round(claim.confidence * kept_share[check.outcome], 4)
        claims.append(claim.model_copy(update={"check": check, "confidence": confidence}))
    order = list(kept_share)
    claims.sort(key=lambda claim: order.index(claim.check.outcome) if claim.check else len(order))
    tested = hypothesis.model_copy(update={"claims": tuple(claims)})
    stood = any(claim.check and claim.check.outcome is not CheckOutcome.FAILED for claim in claims)
    return tested if stood else _fallen(tested, "No claim stood its fresh test")


def _fallen(hypothesis: Hypothesis, why: str) -> Hypothesis:
    """Without a claim that stands, nobody may say that the model was finetuned."""
    if hypothesis.verdict is not Verdict.FINETUNED:
        return hypothesis
    summary = f"{why}. Before that, the finding was: {hypothesis.summary}"
    return hypothesis.model_copy(update={"verdict": Verdict.INCONCLUSIVE, "summary": summary})
