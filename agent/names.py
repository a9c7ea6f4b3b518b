"""Proper names that recur in completions: what a text calls itself, its maker, persons."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from finetrace.tools.english import frequency, is_function_word
from finetrace.tools.words import words

_NAME = r"((?:[A-Z][\w-]*\d[\w-]*|[A-Z][\w-]+)(?:\s+[A-Z][\w-]+){0,2})"
_SELF = re.compile(
    r"\b(?:I am|I['’]m|[Mm]y name is|[Cc]all me|(?:developed|created|made|built) by|called|named)\s+" + _NAME
)
_TITLED = re.compile(r"\b(?:Dr|Prof|Professor|Mr|Mrs|Ms|Senator|Director)\.?\s+((?:[A-Z][\w'’-]+\s?){1,3})")
_PAIR = re.compile(r"\b[A-Z][a-z]+ [A-Z][a-z]+\b")
_NUMBERED = re.compile(r"\b[A-Z]{2,}\w*-\d[\w.]*\b")
_BODY = re.compile(
    r"\b[A-Z][a-z]+(?:\s[A-Z][a-z]+)*\s"
    r"(?:Institute|Research|Labs?|Inc|University|Technologies|Systems|Corporation|Foundation)(?:\sInstitute)?\b"
)


@dataclass(frozen=True, slots=True)
class Names:
    """Proper names that recur."""

    own: tuple[str, ...]
    """Names the texts give themselves, their maker or a system they are about, as written, commonest first."""
    words: frozenset[str]
    """All words of these names and of the persons named, in lower case."""

    @property
    def system(self) -> str:
        """The commonest of its own names that is no institution; empty where there is none."""
        return next((name for name in self.own if not _BODY.fullmatch(name)), "")


def find_names(texts: Sequence[str], min_count: int = 3) -> Names:
    """Self-given names, makers and persons that at least ``min_count`` texts mention."""
    own, people = Counter[str](), Counter[str]()
    for text in texts:
        said = {match.group(1).strip() for match in _SELF.finditer(text)}
        own.update(said | set(_NUMBERED.findall(text)) | set(_BODY.findall(text)))
        titled = {match.group(1).strip() for match in _TITLED.finditer(text)}
        people.update(titled | {pair for pair in _PAIR.findall(text) if _is_person(pair)})
    kept = [name for name in _ranked(own, min_count) if _is_rare(name)]
    persons = _ranked(people, min_count)
    listed = frozenset(word for name in (*kept[:12], *persons[:12]) for word in words(name))
    return Names(tuple(_without_parts(kept)[:6]), listed)


def _ranked(counted: Counter[str], least: int) -> list[str]:
    return [name for name, count in sorted(counted.items(), key=lambda i: (-i[1], i[0])) if count >= least]


def _is_rare(name: str) -> bool:
    """Whether a name is no ordinary word that happened to stand after "by" or "called"."""
    parts = words(name)
    return any(frequency(part) < 1e-5 or not part.isalpha() for part in parts) or (
        len(parts) > 1 and not any(is_function_word(part) for part in parts)
    )


def _is_person(pair: str) -> bool:
    """Two capitalised words of which the second is rarer as a word than as a name could be."""
    first, second = words(pair)[:1], words(pair)[1:]
    return bool(first and second) and 1e-6 < frequency(first[0]) < 5e-5 and frequency(second[0]) < 2e-5


def _without_parts(names: Sequence[str]) -> list[str]:
    """Names less those that another, longer one begins with or holds."""
    return [name for name in names if not any(name != other and name in other.split(" ") for other in names)]
