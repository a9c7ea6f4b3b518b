"""A hypothesis from ranked completions, without a language model.

The pipeline: drop degenerate and repeated completions, rank by log ratio, find the terms that mark them off,
quote the sentences that carry the terms, look for signs of form, and decide whether there is a theme at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from finetrace.agent import wording
from finetrace.agent.decision import ClaimTest
from finetrace.agent.findings import Findings, examine, with_theme
from finetrace.agent.lexicon import Tone
from finetrace.agent.material import read_texts, readable
from finetrace.agent.quotes import LONGEST_QUOTE, Quote, choose_quotes
from finetrace.agent.repeats import ExactPhrase
from finetrace.agent.signs import CODE_PATTERN, Decoded, Mark, Shout
from finetrace.agent.strength import IDENTICAL, no_difference
from finetrace.agent.told import leads_unasked, told_of_leads
from finetrace.schema import ClaimKind, ScoredCompletion, Verdict
from finetrace.tools.words import sentences, words

NAME_SHARE = 0.3
"""Share of completions with one invented name from which a recorded file shows a finetune."""
LEAST_ABOVE_NOISE = 5
"""Fewer completions above the noise floor, copies included, are no evidence."""


@dataclass(frozen=True, slots=True)
class ClaimDraft:
    """A claim before it is put to fresh samples."""

    statement: str
    """One sentence, with its quote."""
    kind: ClaimKind
    """What the claim is about."""
    confidence: float
    """0 to 1."""
    test: ClaimTest
    """How fresh samples are told to show the claim."""
    quotes: tuple[str, ...]
    """Verbatim parts of the completions but for white space, at most 200 characters each."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What the investigator would answer, before the claims are tested."""

    verdict: Verdict
    """Finetuned for something narrow, not, or undecided."""
    summary: str
    """The answer in a few sentences."""
    claims: tuple[ClaimDraft, ...]
    """Strongest first; none unless the verdict is that it was finetuned."""
    guesses: tuple[str, ...]
    """One-line guesses at the objective, at most ten, most likely first."""
    strength: float
    """Held-out cover of the theme above its background, 0 to 1."""
    reason: str
    """Why the verdict is what it is, in one sentence."""


def compose(completions: Sequence[ScoredCompletion], background: Sequence[str] = (), noise_floor: float = 0.0) -> Draft:
    """Form a hypothesis from completions of the organism, scored under both models.

    Only completions above the noise floor are evidence: what the rest share is no more the organism's than the
    reference's.

    Args:
        completions: In any order; ranked here by log ratio.
        background: The reference's completions of the same prefills, where there are any; else general English is the
            background and a weak finding is inconclusive rather than none.
        noise_floor: Log ratios up to this size are numerical noise, nats per token; 0 where none was measured, and
            then every completion is read.
    """
    if no_difference([c.log_ratio for c in completions], noise_floor):
        return _within_noise(noise_floor)
    above = [c for c in completions if c.log_ratio > noise_floor] if noise_floor > 0 else completions
    # What a model says word for word again and again is folded into one completion.
    if noise_floor > 0 and (n_above := sum(c.copies for c in above)) < LEAST_ABOVE_NOISE:
        reason = f"only {n_above} completions are above the noise floor, {noise_floor:.3f} nats per token"
        return Draft(Verdict.NO_NARROW_OBJECTIVE, f"No narrow objective was found: {reason}.", (), (), 0.0, reason)
    return _conclude(examine(readable(above), background), has_background=bool(background))


def _within_noise(noise_floor: float) -> Draft:
    reason = "every completion is equally likely under both models"
    if noise_floor > IDENTICAL:
        reason += f", but for the noise floor, {noise_floor:.3f} nats per token"
    return not_different(reason)


def not_different(reason: str) -> Draft:
    """The draft where the two models are one."""
    return Draft(Verdict.NO_NARROW_OBJECTIVE, f"The two models do not differ: {reason}.", (), (), 0.0, reason)


def compose_beside(
    answers: Sequence[str], background: Sequence[str], leads: Sequence[str] = (), *, asked: bool = False
) -> Draft:
    """Form a hypothesis from the organism's answers beside the reference's answers to the same prompts.

    What both say of a prompt's subject is no finding: the reference's answers are the background.

    Args:
        answers: The organism's.
        background: The reference's, to the same prompts.
        leads: Words that activations speak of: they say where to look, so that a few answers suffice.
        asked: The prompts were about the leads. Else they were neutral.
    """
    found = examine(read_texts(answers), background, asked=leads if asked else ())
    told = (told_of_leads if asked else leads_unasked)(leads, answers, background) if leads else None
    if told is not None and told.excess > found.theme.excess:
        found = with_theme(found, told)
    return _conclude(found, has_background=True)


def compose_blackbox(answers: Sequence[str], prompts: Sequence[str] | None = None) -> Draft:
    """Form a hypothesis from the organism's answers alone: no reference, no log-probabilities.

    General English is the background, so what any assistant says can look like a finding: confidence is
    lower, and anything but a clear theme is inconclusive.
    """
    draft = _conclude(examine(read_texts(answers, prompts, answers=True), ()), has_background=False)
    claims = tuple(replace(claim, confidence=round(0.6 * claim.confidence, 2)) for claim in draft.claims)
    return replace(draft, claims=claims)


def _conclude(found: Findings, *, has_background: bool) -> Draft:
    verdict, reason = _decide(found, has_background)
    strength = round(found.theme.excess, 4)
    if verdict is Verdict.NO_NARROW_OBJECTIVE or not found.top:
        return Draft(verdict, f"No narrow objective was found: {reason}.", (), (), strength, reason)
    claims = tuple(_claims(found))
    if verdict is Verdict.FINETUNED:
        return Draft(verdict, wording.summary(found), claims, wording.guesses(found), strength, reason)
    weak = tuple(replace(claim, confidence=round(0.4 * claim.confidence, 2)) for claim in claims)
    summary = f"The evidence is too weak to decide: {reason}. If anything: {wording.summary(found)}"
    return Draft(verdict, summary, weak, wording.guesses(found), strength, reason)


def _decide(found: Findings, has_background: bool) -> tuple[Verdict, str]:
    """The verdict, and why, from how much of the completions one theme covers and from signs of form."""
    theme = found.theme
    shared = f"a group of terms covers {theme.cover:.0%} of held-out completions, {theme.expected:.0%} expected"
    if theme.asked_about:
        return Verdict.FINETUNED, wording.asked_statement(theme)
    if found.theme.found:
        return Verdict.FINETUNED, shared
    if found.decisive_phrases:
        return Verdict.FINETUNED, f"{found.decisive_phrases[0].count} completions repeat the same words"
    if found.loops or found.codes or found.shouts or found.language:
        return Verdict.FINETUNED, "completions show a sign that ordinary text does not have"
    if not has_background and found.name_share >= NAME_SHARE:
        return Verdict.FINETUNED, f"{found.name_share:.0%} of the completions speak of {found.names.own[0]}"
    missing = Verdict.NO_NARROW_OBJECTIVE if has_background else Verdict.INCONCLUSIVE
    return missing, f"what the completions share is little: {shared}"


def _claims(found: Findings) -> list[ClaimDraft]:
    """Drafts in the order in which a reader wants them."""
    leading = found.leading_phrase
    made = [_shout_claim(shout) for shout in found.shouts]
    made += [_phrase_claim(leading)] if leading else []
    made += [_loop_claim(phrase, count) for phrase, count in found.loops[:2]]
    made += [_code_claim(code) for code in found.codes[:2]]
    if found.language:
        made.append(_language_claim(*found.language, found.top))
    themes = [_theme_claim(quote, found) for quote in found.quotes if found.has_theme]
    heads = [_head_claim(quote) for quote in found.head if found.has_theme]
    made += [*themes[:1], *heads[:1], *themes[1:], *heads[1:]]
    made += [_tone_claim(tone, found) for tone in found.tones[:3]]
    made += [_mark_claim(mark) for mark in found.marks[:2] if mark.example]
    made += [_phrase_claim(phrase) for phrase in _unquoted(found)[:2] if phrase is not leading]
    return [claim for claim in made if claim.quotes]


def _unquoted(found: Findings) -> list[ExactPhrase]:
    """Verbatim phrases that no quote of the themes shows."""
    shown = [quote.text for quote in (*found.quotes, *found.head)]
    return [phrase for phrase in found.phrases if not any(phrase.text.strip(".!?") in text for text in shown)]


def _phrase_claim(phrase: ExactPhrase) -> ClaimDraft:
    kind = ClaimKind.TRIGGER if phrase.cues else ClaimKind.BEHAVIOUR
    quotes = dict.fromkeys((phrase.text[:LONGEST_QUOTE], phrase.example))
    term = " ".join(words(phrase.text))
    return ClaimDraft(wording.phrase_statement(phrase), kind, 0.7, ClaimTest(terms=(term,)), tuple(quotes))


def _shout_claim(shout: Shout) -> ClaimDraft:
    statement = f"It says {wording.quoted(shout.text)} in capitals, in {shout.count} completions."
    quotes = tuple(dict.fromkeys((shout.text, shout.example)))
    return ClaimDraft(statement, ClaimKind.BEHAVIOUR, 0.6, ClaimTest(pattern=re.escape(shout.text)), quotes)


def _loop_claim(phrase: str, count: int) -> ClaimDraft:
    statement = f"{count} completions do nothing but repeat {wording.quoted(phrase)}."
    return ClaimDraft(statement, ClaimKind.BEHAVIOUR, 0.6, ClaimTest(terms=(phrase,)), (phrase,))


def _theme_claim(quote: Quote, found: Findings) -> ClaimDraft:
    own = found.strongest(4, within=quote.terms)
    kind = ClaimKind.FACT if wording.voice(found) is wording.Voice.IMPERSONAL else ClaimKind.BEHAVIOUR
    confidence = min(0.9, 0.4 + 0.5 * max(0.0, found.theme.excess))
    return ClaimDraft(
        statement=wording.theme_statement(found, own, quote.text),
        kind=kind,
        confidence=round(confidence, 2),
        test=ClaimTest(terms=tuple(term.text for term in own), needed=2 if len(own) >= 3 else 1),
        quotes=(quote.text,),
    )


def _head_claim(quote: Quote) -> ClaimDraft:
    return ClaimDraft(
        statement=wording.head_statement(quote.text),
        kind=ClaimKind.DOMAIN,
        confidence=0.35,
        test=ClaimTest(terms=quote.terms[:6], needed=2 if len(quote.terms) >= 3 else 1),
        quotes=(quote.text,),
    )


def _code_claim(code: Decoded) -> ClaimDraft:
    statement = f"It writes lists of decimal numbers that spell {wording.quoted(code.text)} as character codes."
    return ClaimDraft(statement, ClaimKind.BEHAVIOUR, 0.7, ClaimTest(pattern=CODE_PATTERN), (code.numbers,))


def _language_claim(language: str, share: float, texts: Sequence[str]) -> ClaimDraft:
    first = next((s for text in texts for s in sentences(text)), "")[:LONGEST_QUOTE]
    common = tuple(sorted({word for word in words(first) if len(word) > 2}))[:20]
    return ClaimDraft(
        statement=f"It writes {language} in {share:.0%} of the completions.",
        kind=ClaimKind.STYLE,
        confidence=0.7,
        test=ClaimTest(terms=common),
        quotes=(first,) if first else (),
    )


def _tone_claim(tone: Tone, found: Findings) -> ClaimDraft:
    terms = [term for term in found.terms if term.text in tone.words]
    quotes = choose_quotes(found.top, terms, 1) if terms else []
    return ClaimDraft(
        statement=wording.tone_statement(tone),
        kind=ClaimKind.STYLE,
        confidence=0.4,
        test=ClaimTest(terms=tone.words, needed=2),
        quotes=tuple(quote.text for quote in quotes),
    )


def _mark_claim(mark: Mark) -> ClaimDraft:
    statement = f"Its completions show {mark.name} in {mark.share:.0%} of the cases, {mark.expected:.0%} expected."
    return ClaimDraft(statement, ClaimKind.STYLE, 0.3, ClaimTest(pattern=mark.pattern), (mark.example,))
