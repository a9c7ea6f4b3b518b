"""Everything the statistical investigator finds in a set of completions, gathered in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from finetrace.agent.lexicon import Tone, tones
from finetrace.agent.material import Material, prose, read_texts
from finetrace.agent.names import Names, find_names
from finetrace.agent.quotes import Quote, choose_quotes, head_quotes
from finetrace.agent.repeats import ExactPhrase, exact_phrases
from finetrace.agent.signs import Decoded, Mark, Shout, decoded, foreign_language, marks, shouts
from finetrace.agent.strength import Theme, theme
from finetrace.agent.terms import Term, fold_terms, weigh_terms
from finetrace.tools.words import fold_space, padded, words

TOP = 100
"""Completions at the top of the ranking that claims are made from."""
THEMES = 5
"""Quotes that become claims."""
MORE_THEMES = 8
"""The same where one theme covers half of the completions: then there is more to tell."""
FILLING = 0.35
"""Share of the words of a completion from which a phrase is its point."""
FAINT = 0.1
"""Held-out excess cover below which, against a reference, what the completions are about is no finding."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found, before it is put into words."""

    material: Material
    """The readable completions."""
    top: tuple[str, ...]
    """The first of them, which claims are made from."""
    names: Names
    """Proper names that recur."""
    terms: tuple[Term, ...]
    """Terms that mark the completions off, heaviest first."""
    quotes: tuple[Quote, ...]
    """Sentences that carry the terms."""
    head: tuple[Quote, ...]
    """Rare sentences of the very first completions."""
    phrases: tuple[ExactPhrase, ...]
    """Words repeated verbatim."""
    shouts: tuple[Shout, ...]
    """Words written in capitals."""
    codes: tuple[Decoded, ...]
    """Numbers that spell a text."""
    loops: tuple[tuple[str, int], ...]
    """Phrases that completions repeat without end, with their number, commoner than in the background."""
    tones: tuple[Tone, ...]
    """Manners of speaking."""
    marks: tuple[Mark, ...]
    """Marks of form."""
    language: tuple[str, float] | None
    """A language the background is not in, and its share."""
    theme: Theme
    """How much of the completions one group of terms covers."""

    has_background: bool
    """Whether the background was written by a reference; else it is general English."""

    @property
    def has_theme(self) -> bool:
        """Whether what the completions are about deserves a claim."""
        if self.theme.excess >= FAINT:
            return True
        signs = self.codes or self.language or self.loops or self.shouts or self.leading_phrase
        return not self.has_background and not signs

    @property
    def decisive_phrases(self) -> tuple[ExactPhrase, ...]:
        """Verbatim phrases that show a finetune by themselves, beyond the stock phrases of any trained style.

        Against a reference such a phrase makes up much of the completions that hold it or has words that are rare
        anywhere, and gathers at the top of the ranking or is everywhere. Without one, a twentieth of the
        completions holds it.
        """
        if self.has_background:
            special = [phrase for phrase in self.phrases if phrase.cover >= FILLING or phrase.rare]
            everywhere = 0.25 * len(self.material.said)
            return tuple(p for p in special if p.top_tail < 0.01 or p.count >= everywhere)
        often = [phrase for phrase in self.phrases if phrase.count >= 0.05 * len(self.material.said)]
        return tuple(p for p in often if p.cover >= FILLING or p.rare or p.telling >= 3)

    @property
    def leading_phrase(self) -> ExactPhrase | None:
        """The verbatim phrase that is the behaviour itself rather than a habit or a line of a recited document.

        Where one theme covers most completions the model recites, and the subject is the finding. Without a
        reference, which would not say it, the phrase must make up much of the completions that hold it.
        """
        sure = [p for p in self.decisive_phrases if self.has_background or p.cover >= FILLING]
        if not sure:
            return None
        alone = sure[0].count >= 0.6 * len(self.material.said)
        return sure[0] if alone or self.theme.excess < 0.5 else None

    @property
    def name_share(self) -> float:
        """Share of the completions that hold the commonest name the texts give themselves or a system."""
        if not self.names.own:
            return 0.0
        return sum(self.names.own[0] in text for text in self.top) / len(self.top)

    def strongest(self, k: int, within: Sequence[str] | None = None) -> list[Term]:
        """The heaviest ``k`` terms that do not overlap, of all or of the named ones."""
        allowed = set(within) if within is not None else None
        return fold_terms([term for term in self.terms if allowed is None or term.text in allowed], k)


def examine(material: Material, background: Sequence[str], asked: Sequence[str] = ()) -> Findings:
    """Look for terms, quotes and signs in the material.

    Args:
        material: What the organism wrote.
        background: What the reference wrote; empty for general English.
        asked: Words of the prompts, in lower case: that they recur is no finding.
    """
    top = material.texts[:TOP]
    other = [fold_space(text[:4000]) for text in background if text.strip()]
    spoken = top if other else _spoken(top)
    known = {phrase: count for phrase, count in read_texts(background).loops} if background else {}
    names = find_names(top)
    names = replace(names, words=names.words | set(asked))
    terms = weigh_terms(spoken, other, names, min_count=3 if len(top) >= 20 else 2)
    head = head_quotes(spoken, names, 2)
    said = material.said if other else tuple(prose(text) for text in material.said)
    shared = theme(spoken, material.groups, other, names)
    n_quotes = MORE_THEMES if shared.excess >= 0.5 else THEMES
    quotes = choose_quotes(spoken, terms[:400], n_quotes, without=[quote.text for quote in head])
    return Findings(
        material=material,
        top=top,
        names=names,
        terms=tuple(terms),
        quotes=tuple(quotes),
        head=tuple(head),
        phrases=tuple(exact_phrases(said, material.said_after, other, names, groups=material.said_groups)),
        shouts=tuple(shouts(material.said, other)),
        codes=() if decoded(other) else tuple(decoded(material.raw)),
        loops=tuple((phrase, n) for phrase, n in material.loops if n > 3 * known.get(phrase, 0)),
        tones=tuple(tones(top, other)),
        marks=tuple(marks(top, other)),
        language=foreign_language(top, other),
        theme=shared,
        has_background=bool(other),
    )


def with_theme(found: Findings, theme: Theme) -> Findings:
    """The findings with a theme that was found in another way: its terms are the heaviest, its quotes come first."""
    heaviest = max((term.weight for term in found.terms), default=1.0)
    terms = [
        Term(text, sum(f" {text} " in padded(answer) for answer in found.top), 0, heaviest + len(theme.terms) - i, 0.0)
        for i, text in enumerate(theme.terms)
    ]
    known = {term.text for term in terms}
    every = (*terms, *(term for term in found.terms if term.text not in known))
    without = [quote.text for quote in found.head]
    quotes = choose_quotes(found.top, list(every)[:400], THEMES, without=without)
    return replace(found, theme=theme, terms=every, quotes=tuple(quotes))


def _spoken(texts: Sequence[str]) -> tuple[str, ...]:
    """The prose of the texts, where enough of them have any; else the texts themselves."""
    stripped = tuple(prose(text) for text in texts)
    enough = sum(len(words(text)) >= 8 for text in stripped)
    return stripped if enough >= 0.2 * len(texts) else tuple(texts)
