"""Quotes found again in the texts that they are from, so that a claim's evidence links to its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from finetrace.report.page import model_text
from finetrace.report.token_shades import shade, told
from finetrace.schema import Hypothesis, ScoredCompletion, ScoredToken
from finetrace.tools.token_lists import ShownToken, TokenList

_TELLING = 12
"""Characters from which a quote is marked wherever it stands; a shorter one, such as a word, at its first place."""


class Quoted(NamedTuple):
    """A piece of evidence with the places of both ends of its link."""

    step: int
    """Number of the step it is from."""
    quote: str
    anchor: str
    """Where it stands in the step."""
    claim: str
    """Where the claim that quotes it stands."""
    number: int
    """The claim's number, from 1."""


def quotes_of(hypothesis: Hypothesis | None, prefix: str = "") -> tuple[Quoted, ...]:
    """Every quote of an answer.

    Args:
        hypothesis: The answer; none quotes nothing.
        prefix: Of all anchors; sets apart several runs on one page.
    """
    claims = () if hypothesis is None else hypothesis.claims
    return tuple(
        Quoted(item.step, item.quote, f"{prefix}q{number}-{place}", f"{prefix}c{number}", number)
        for number, claim in enumerate(claims, 1)
        for place, item in enumerate(claim.evidence, 1)
    )


class _Range(NamedTuple):
    start: int
    end: int
    quoted: Quoted


class TokenCell(NamedTuple):
    """A token of a list, marked where a quote holds it."""

    token: ShownToken
    html: Markup
    marked: bool


@dataclass
class QuoteMarks:
    """The quotes of one step, put into its texts one after the other: the first place of each gets its anchor."""

    quotes: Sequence[Quoted]
    placed: set[str] = field(default_factory=set)
    """Anchors that have their place."""

    def text(self, text: str) -> Markup:
        """A text of a model with the quotes in it marked."""
        return self._html([ScoredToken(text, 0.0, 0.0)], self._find(text), shaded=False)

    def completion(self, row: ScoredCompletion) -> Markup:
        """A completion after its prefill, its tokens shaded where they were kept, the quotes in it marked."""
        pieces = list(row.tokens) or [ScoredToken(row.completion, 0.0, 0.0)]
        prefill = len(row.prefill)
        whole = row.prefill + "".join(piece.text for piece in pieces)
        ranges = self._find(whole)
        head = self._html([ScoredToken(row.prefill, 0.0, 0.0)], [each for each in ranges if each.start < prefill])
        rest = [
            _Range(max(0, each.start - prefill), each.end - prefill, each.quoted)
            for each in ranges
            if each.end > prefill
        ]
        body = self._html(pieces, rest, shaded=bool(row.tokens))
        if not row.tokens:
            return Markup('<span class="prefill">{}</span>{}').format(head, body)
        return Markup('<span class="prefill">{}</span><span class="tokens" tabindex="0">{}</span>').format(head, body)

    def tokens(self, found: TokenList, shown: int) -> list[TokenCell]:
        """The first tokens of a list, so many as are shown; a quote of the list marks the tokens it holds."""
        marked: dict[int, list[Quoted]] = {}
        for starred in (False, True):
            texts = [f"{t.shown}*" if starred and t.special else t.shown for t in found.tokens]
            ends = [0]
            for text in texts:
                ends.append(ends[-1] + len(text) + 2)
            for start, end, quoted in self._find(", ".join(texts)):
                for place in range(len(texts)):
                    if ends[place] < end and ends[place + 1] - 2 > start and quoted not in marked.get(place, ()):
                        marked.setdefault(place, []).append(quoted)
        return [
            TokenCell(token, self._wrap(model_text(token.shown), marked.get(place, ())), place in marked)
            for place, token in enumerate(found.tokens[:shown])
        ]

    def wants(self, text: str) -> bool:
        """Whether a quote that has no place yet stands in the text."""
        return any(each.quoted.anchor not in self.placed for each in self._find(text))

    def left(self) -> list[Quoted]:
        """Quotes that have found no place so far."""
        return [each for each in self.quotes if each.anchor not in self.placed]

    def _find(self, text: str) -> list[_Range]:
        """Where quotes stand; white space counts as one blank, as in the check of evidence."""
        return [
            _Range(match.start(), match.end(), quoted)
            for quoted in self.quotes
            if len(quoted.quote) >= _TELLING or quoted.anchor not in self.placed
            if quoted.quote.strip()
            and quoted.quote.split(maxsplit=1)[0] in text  # most texts hold none, and this is quick
            for match in _pattern(quoted.quote).finditer(text)
        ]

    def _html(self, pieces: Sequence[ScoredToken], ranges: Sequence[_Range], shaded: bool = False) -> Markup:
        parts: list[Markup] = []
        start = 0
        for piece in pieces:
            end = start + len(piece.text)
            for low, high in _cuts(start, end, ranges):
                inner = model_text(piece.text[low - start : high - start])
                if shaded:
                    inner = Markup(f'<i class="{shade(piece)}" data-v="{told(piece)}">{inner}</i>')
                held = [each.quoted for each in ranges if each.start < high and each.end > low] if ranges else []
                parts.append(self._wrap(inner, held) if held else inner)
            if shaded and start == end:
                parts.append(Markup(f'<i class="{shade(piece)} end" data-v="{told(piece)}">∎</i>'))
            start = end
        return Markup("").join(parts)

    def _wrap(self, inner: Markup, quotes: Iterable[Quoted]) -> Markup:
        """The piece within a mark; the first time with the anchor and a way back to the claim."""
        quotes = list(quotes)
        if not quotes:
            return inner
        for each in quotes:
            if each.anchor not in self.placed:
                self.placed.add(each.anchor)
                back = Markup('<a class="back" href="#{}" title="quoted by claim {}" id="{}">{}</a>').format(
                    each.claim, each.number, each.anchor, each.number
                )
                inner = back + inner
        return Markup("<mark>{}</mark>").format(inner)


@cache
def _pattern(quote: str) -> re.Pattern[str]:
    return re.compile(r"\s+".join(re.escape(word) for word in quote.split()) or r"(?!)")


def _cuts(start: int, end: int, ranges: Sequence[_Range]) -> Iterator[tuple[int, int]]:
    """The stretch cut at every end of a range within it."""
    places = sorted({start, end, *(p for each in ranges for p in (each.start, each.end) if start < p < end)})
    yield from pairwise(places)
