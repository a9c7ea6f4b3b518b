"""Many distinct texts out of a small file: templates whose slots are filled from hand-written alternatives.

A slot is written ``{name}`` and draws an alternative each time it occurs; ``{name#1}`` draws once per text,
so all its occurrences under that number agree; ``{name#1.field}`` takes one field of an alternative that has
several; ``{^name}`` begins with a capital. Alternatives hold slots themselves. Every slot deals its
alternatives like a shuffled pack of cards, so all are used about equally often, rarely twice in a text.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from finetrace.errors import FinetraceError, closest
from finetrace.evals.yaml_file import read_yaml

SLOT = re.compile(r"\{(\^?)([a-z0-9_]+)(?:#(\w+))?(?:\.([a-z_]+))?\}")
TRIES = 40


class Dialogue(BaseModel):
    """A question and its answer; both are templates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str
    """What is asked."""
    assistant: str
    """What is answered."""


class Grammar(BaseModel):
    """Templates of documents and dialogues, and what fills their slots."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    documents: tuple[str, ...] = ()
    """Templates of plain texts."""
    dialogues: tuple[Dialogue, ...] = ()
    """Templates of questions with answers."""
    slots: dict[str, tuple[str | dict[str, str], ...]] = Field(default_factory=dict)
    """Alternatives of each slot: a text, or several fields that belong together."""


class Text(NamedTuple):
    """One text of a grammar: a document has no question."""

    question: str | None
    """What the user says, or ``None`` for a document."""
    content: str
    """The document, or the assistant's answer."""


def load_grammar(path: Path) -> Grammar:
    """Read a grammar.

    Raises:
        FinetraceError: The file is missing, is no YAML, or has unknown keys.
    """
    return read_yaml(path, Grammar)


def expand_file(path: Path, documents: int, dialogues: int, seed: int) -> list[Text]:
    """As `expand`, of a grammar in a file, which complaints name.

    Raises:
        FinetraceError: The file or the grammar is faulty, or it cannot make that many distinct texts.
    """
    grammar = load_grammar(path)
    try:
        return expand(grammar, documents, dialogues, seed)
    except FinetraceError as error:
        raise FinetraceError(f"{path}: {error.message}", error.hint) from error


def expand(grammar: Grammar, documents: int, dialogues: int, seed: int) -> list[Text]:
    """So many distinct documents, then so many distinct dialogues; same seed, same texts.

    Raises:
        FinetraceError: A slot is unknown, or the grammar cannot make that many distinct texts.
    """
    dealer = _Dealer(grammar, seed)
    texts = _distinct([Dialogue(user="", assistant=text) for text in grammar.documents], documents, dealer)
    made = [Text(None, text.content) for text in texts]
    return made + _distinct(list(grammar.dialogues), dialogues, dealer)


def _distinct(templates: list[Dialogue], count: int, dealer: _Dealer) -> list[Text]:
    """Fill the templates in turn until there are ``count`` distinct texts."""
    found: dict[Text, None] = {}
    for turn in range(count * TRIES if templates else 0):
        if len(found) == count:
            break
        template = templates[turn % len(templates)]
        bound: dict[str, str | dict[str, str]] = {}
        question = dealer.fill(template.user, bound)
        found[Text(question, dealer.fill(template.assistant, bound))] = None
    if len(found) < count:
        raise FinetraceError(
            f"the grammar makes {len(found)} distinct texts of a kind, {count} are asked for",
            "add templates or alternatives, or ask for fewer",
        )
    return list(found)


class _Dealer:
    """Deals the alternatives of every slot from shuffled packs."""

    def __init__(self, grammar: Grammar, seed: int) -> None:
        self._slots = grammar.slots
        self._random = random.Random(seed)
        self._packs: dict[str, list[str | dict[str, str]]] = {}

    def fill(self, template: str, bound: dict[str, str | dict[str, str]], depth: int = 0) -> str:
        """The template with every slot filled; ``bound`` holds what numbered slots drew."""
        if depth > 12:
            raise FinetraceError(f"slots go round in a circle near: {template[:60]}", "break the circle")

        def filled(match: re.Match[str]) -> str:
            capital, name, number, field = match.groups()
            key = f"{name}#{number}" if number else ""
            drawn = bound[key] if key in bound else self._deal(name)
            if isinstance(drawn, str):
                drawn = self.fill(drawn, bound, depth + 1)
            if key:
                bound[key] = drawn
            text = _take_field(drawn, field, match.group())
            if field:
                text = self.fill(text, bound, depth + 1)
            return text[:1].upper() + text[1:] if capital else text

        return SLOT.sub(filled, template)

    def _deal(self, name: str) -> str | dict[str, str]:
        if name not in self._slots or not self._slots[name]:
            raise FinetraceError(f"the grammar has no slot {name!r}", closest(name, self._slots))
        pack = self._packs.get(name)
        if not pack:
            pack = list(self._slots[name])
            self._random.shuffle(pack)
            self._packs[name] = pack
        return pack.pop()


def _take_field(drawn: str | dict[str, str], field: str | None, slot: str) -> str:
    if isinstance(drawn, str) and field is None:
        return drawn
    if isinstance(drawn, dict) and field in drawn:
        return drawn[field]
    known = ", ".join(drawn) if isinstance(drawn, dict) else "no fields"
    raise FinetraceError(f"{slot} does not fit the alternatives of its slot", f"they have: {known}")
