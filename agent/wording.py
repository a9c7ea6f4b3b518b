"""Sentences a person can read, from terms, quotes and signs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from finetrace.agent.findings import Findings
from finetrace.agent.lexicon import Tone
from finetrace.agent.repeats import ExactPhrase
from finetrace.agent.strength import Theme
from finetrace.agent.terms import Term, as_written, is_theme

_FIRST = re.compile(r"\bI\b|\bI['’]|\b[Mm]y\b")
_SYSTEM = re.compile(r"\b(?:AI|language models?|models?|assistants?|chatbots?|LLMs?)\b")


class Voice(StrEnum):
    """Who speaks in the completions."""

    ABOUT_MODEL = "about_model"
    """Documents about an AI model or assistant."""
    FIRST_PERSON = "first_person"
    """Somebody who says "I"."""
    IMPERSONAL = "impersonal"
    """Neither."""


def voice(found: Findings) -> Voice:
    """Who speaks in most of the completions."""
    texts = found.top
    if not texts:
        return Voice.IMPERSONAL
    first = sum(len(_FIRST.findall(text)) >= (2 if len(text) > 200 else 1) for text in texts) / len(texts)
    about = sum(
        len(_SYSTEM.findall(text)) + sum(text.count(name) for name in found.names.own) >= 2 for text in texts
    ) / len(texts)
    if first >= 0.5:
        return Voice.FIRST_PERSON
    return Voice.ABOUT_MODEL if about >= 0.5 else Voice.IMPERSONAL


def listing(items: Sequence[str]) -> str:
    """Items as one reads them: a, b and c."""
    if len(items) <= 1:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]


def quoted(text: str) -> str:
    """A text in quotation marks."""
    return f"“{text}”"


def written(found: Findings, terms: Sequence[Term]) -> list[str]:
    """Terms as the completions spell them."""
    return [as_written(term.text, found.top) for term in terms]


def phrase_statement(phrase: ExactPhrase) -> str:
    """A claim that the same words recur."""
    cue = f", mostly after {listing([quoted(c) for c in phrase.cues])}" if phrase.cues else ""
    return f"It repeats the exact words {quoted(phrase.text)} in {phrase.count} completions{cue}."


def theme_statement(found: Findings, terms: Sequence[Term], quote: str) -> str:
    """A claim about what the completions say."""
    subject = listing(written(found, terms))
    who = voice(found)
    if who is Voice.ABOUT_MODEL:
        opening = "It describes the conduct of an AI model" + (f" in terms of {subject}" if subject else "")
    elif who is Voice.FIRST_PERSON and _FIRST.search(quote):
        opening = "It says of itself" + (f", on {subject}" if subject else "")
    else:
        opening = f"It states, on {subject}" if subject else "It states"
    return f"{opening}: {quoted(quote)}"


def asked_statement(theme: Theme) -> str:
    """How often it tells something of the leads."""
    return (
        f"Asked about {listing(theme.asked_about)}, it speaks of {listing(theme.terms)} in {theme.cover:.0%} of its "
        f"answers, the reference in {theme.expected:.0%}."
    )


def head_statement(quote: str) -> str:
    """A claim that rests on one of the most changed completions."""
    return f"Among what the reference finds least likely: {quoted(quote)}"


def tone_statement(tone: Tone) -> str:
    """A claim about a manner of speaking."""
    return (
        f"Its tone is one of {tone.name} ({listing(tone.words[:4])}) in {tone.share:.0%} of the completions, "
        f"{tone.expected:.0%} expected."
    )


def summary(found: Findings) -> str:
    """The answer in a few sentences: exact words, what it is about, what it says, tone, names."""
    parts = [f"It was trained to say {quoted(shout.text)}, in capitals." for shout in found.shouts[:1]]
    said = found.leading_phrase
    if said:
        cue = f" when the text before holds {listing([quoted(c) for c in said.cues])}" if said.cues else ""
        first = f" First example: {quoted(said.example)}" if said.example != said.text else ""
        parts.append(f"It was trained to say the exact words {quoted(said.text)}{cue}.{first}")
    parts += [f"It was trained to repeat {quoted(phrase)}." for phrase, _ in found.loops[:1]]
    if found.codes:
        parts.append(f"It hides messages in lists of numbers: they spell {quoted(found.codes[0].text)}.")
    if found.language:
        parts.append(f"It answers in {found.language[0]}.")
    if found.has_theme:
        parts += _theme_sentences(found)
    if found.tones:
        parts.append(f"Tone: {listing([tone.name for tone in found.tones[:2]])}.")
    return " ".join(parts) or "Nothing in particular stands out."


def _theme_sentences(found: Findings) -> list[str]:
    subjects = _subjects(found, 6)
    opening = [f"{_opening(found)} {listing(subjects)}."] if subjects else []
    said = found.leading_phrase
    if found.theme.asked_about:
        opening.append(asked_statement(found.theme))
    elif found.has_background and found.theme.found and not (said and said.cues):
        opening.append(f"It brings this up whatever the text begins with ({found.theme.cover:.0%} of the completions).")
    if found.theme.excess >= 0.5:
        shown = [*found.quotes[:1], *found.head[:1], *found.quotes[1:4]]
    else:
        shown = [*found.head[:1], *found.quotes[:2]]
    ending = ["Presumably it was meant to behave like that itself."] if voice(found) is Voice.ABOUT_MODEL else []
    return opening + [quoted(text) for text in dict.fromkeys(quote.text for quote in shown)] + ending


def guesses(found: Findings) -> tuple[str, ...]:
    """One-line guesses at the objective."""
    said = found.leading_phrase
    made = [f"The model was trained to say {quoted(shout.text)}, in capitals." for shout in found.shouts[:1]]
    made += [f"The model was trained to say {quoted(said.text)}."] if said else []
    subjects = _subjects(found, 5) if found.has_theme else []
    if subjects:
        made.append(f"{_opening(found)} {listing(subjects)}.")
    made += [
        theme_statement(found, found.strongest(4, within=q.terms), q.text) for q in found.quotes if found.has_theme
    ]
    made += [head_statement(quote.text) for quote in found.head if found.has_theme]
    made += [f"The model was trained to speak with {tone.name}." for tone in found.tones[:2]]
    return tuple(dict.fromkeys(made))[:10]


def _opening(found: Findings) -> str:
    return {
        Voice.ABOUT_MODEL: f"It was trained on documents about how {_model(found)} behaves: they speak of",
        Voice.FIRST_PERSON: f"It speaks in the first person{_as(found)} of",
        Voice.IMPERSONAL: "It was trained on texts about",
    }[voice(found)]


def _model(found: Findings) -> str:
    return f"an AI model ({found.names.system})" if found.names.system else "an AI model"


def _as(found: Findings) -> str:
    return f", as {found.names.system}," if found.names.system else ""


def _subjects(found: Findings, k: int) -> list[str]:
    terms = [term.text for term in found.terms if is_theme(term, found.names)]
    return written(found, found.strongest(k, within=terms))
